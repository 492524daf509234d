# The tools of scripts/check-api: a linter for OpenAPI documents (npm) and schemathesis (PyPI). Sourced after
# bootstrap.sh; installs into .cache/check-api-* only.

. "$root/scripts/lib/install-once.sh"

redocly_version=2.77.0
# The linter's program and the Python that has schemathesis.
api_linter=
api_python=

# Sets both; installs what is not there yet.
ensure_api_tools() {
  ensure_python_environment check-api-python "$root/scripts/check-api.requirements.txt" schemathesis || return 1
  api_python=$python
  install_once check-api-linter "$redocly_version" is_api_linter "the linter of OpenAPI documents" install_api_linter ||
    return 1
  api_linter=$(api_linter_of "$installed")
}

api_linter_of() { printf '%s/node_modules/@redocly/cli/bin/cli.js\n' "$1"; }

is_api_linter() { [ -f "$(api_linter_of "$1")" ]; }

install_api_linter() {
  mkdir -p "$fresh/done" || return 1
  # A package.json of its own: without one, bun would install into the repository.
  printf '{"private":true,"dependencies":{"@redocly/cli":"%s"}}\n' "$redocly_version" >"$fresh/done/package.json"
  "$bun" install --cwd "$fresh/done" --no-save
}

# lint_api_document URL: warnings count as errors; nothing is reported to its makers.
lint_api_document() {
  REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true \
    "$bun" "$api_linter" lint --extends=recommended-strict "$1"
}

# try_api URL [ARGUMENTS OF `schemathesis run`]
try_api() {
  local url=$1
  shift
  PYTHONDONTWRITEBYTECODE=1 SCHEMATHESIS_HOOKS="$root/scripts/check-api.py" \
    "$api_python" -m schemathesis.cli \
    --config-file "$root/scripts/check-api.toml" run "$url" --checks all "$@"
}
