# The tools of scripts/check-api: a linter for OpenAPI documents (npm) and schemathesis (PyPI). Sourced after
# bootstrap.sh; installs into .cache/check-api only.

redocly_version=2.77.0
api_tools="$root/.cache/check-api"
api_requirements="$root/scripts/check-api.requirements.txt"

# What is wanted, in one line; the same line is written when it was all installed.
api_tools_wanted() { printf 'redocly %s, python %s\n' "$redocly_version" "$(cksum <"$api_requirements")"; }

require_python() {
  python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null ||
    die "scripts/check-api needs Python 3.10 or newer with venv. Install it (Debian, Ubuntu: apt install python3 python3-venv)."
}

install_api_tools() {
  local stamp="$api_tools/.installed"
  [ "$(cat "$stamp" 2>/dev/null)" = "$(api_tools_wanted)" ] && return
  require_python
  lock
  if [ "$(cat "$stamp" 2>/dev/null)" != "$(api_tools_wanted)" ]; then
    say "Installing the tools of scripts/check-api ..."
    rm -rf "$api_tools"
    mkdir -p "$api_tools" || die "cannot write to $api_tools"
    # A package.json of its own: without one, bun would install into the repository.
    printf '{"private":true,"dependencies":{"@redocly/cli":"%s"}}\n' "$redocly_version" >"$api_tools/package.json"
    "$bun" install --cwd "$api_tools" --no-save >&2 || die "the linter could not be installed"
    python3 -m venv "$api_tools/venv" >&2 &&
      "$api_tools/venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$api_requirements" >&2 ||
      die "schemathesis could not be installed"
    api_tools_wanted >"$stamp"
  fi
  unlock
}

# lint_api_document URL: warnings count as errors; nothing is reported to its makers.
lint_api_document() {
  REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true \
    "$bun" "$api_tools/node_modules/@redocly/cli/bin/cli.js" lint --extends=recommended-strict "$1"
}

# try_api URL [ARGUMENTS OF `schemathesis run`]
try_api() {
  local url=$1
  shift
  PYTHONDONTWRITEBYTECODE=1 SCHEMATHESIS_HOOKS="$root/scripts/check-api.py" \
    "$api_tools/venv/bin/python" -m schemathesis.cli \
    --config-file "$root/scripts/check-api.toml" run "$url" --checks all "$@"
}
