# What tests need besides Bun: the programs that they start as servers. Tests start and end the servers themselves, so
# that they can kill them too; here it is only made sure that the programs are there. Sourced after bootstrap.sh.

. "$root/scripts/lib/tarantool.sh"
. "$root/scripts/lib/tarantool-connector.sh"
. "$root/scripts/lib/chromium.sh"
. "$root/scripts/lib/minio.sh"
. "$root/scripts/lib/grpc-clients.sh"
. "$root/scripts/lib/prometheus.sh"
. "$root/scripts/lib/cloudevents.sh"
. "$root/scripts/lib/deploy-tools.sh"

# What is downloaded comes down while Go compiles.
ensure_services() {
  local downloads built=0
  ensure_downloads &
  downloads=$!
  ensure_minio && ensure_grpc_clients && ensure_actionlint || built=1
  wait "$downloads" && [ "$built" -eq 0 ]
}

ensure_downloads() {
  ensure_tarantool && ensure_luacheck && ensure_chromium && ensure_prometheus && ensure_tarantool_connector &&
    ensure_cloudevents_python && ensure_deploy_python
}
