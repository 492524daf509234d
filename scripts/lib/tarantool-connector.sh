# Gets Tarantool's official Python connector for the tests: `ensure_tarantool_connector` sets $tarantool_connector to an
# interpreter that has it. Sourced after bootstrap.sh. The packages come from PyPI.

. "$root/scripts/lib/install-once.sh"

tarantool_connector=

ensure_tarantool_connector() {
  ensure_python_environment tarantool-connector "$root/scripts/lib/tarantool-connector.requirements.txt" \
    "Tarantool's Python connector" || return 1
  tarantool_connector=$python
}
