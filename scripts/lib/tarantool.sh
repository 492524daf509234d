# What the tests of the Tarantool driver need: Tarantool 2.6 or later and luacheck.
# Sourced; each function installs what is missing or says by name what to install. Progress goes to standard error.

tarantool_say() { printf '%s\n' "$*" >&2; }

# as_root COMMAND...: runs it as root, or fails when that needs a password.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  else
    command -v sudo >/dev/null 2>&1 && sudo -n "$@"
  fi
}

# with_apt PACKAGE: one installer at a time, as test runs may start together.
with_apt() {
  command -v apt-get >/dev/null 2>&1 || return 1
  tarantool_say "Installing $1 ..."
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y "$1" >&2 ||
    { as_root apt-get -o DPkg::Lock::Timeout=300 update >&2 &&
      as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y "$1" >&2; }
}

# is_tarantool: whether the one in the path is 2.6 or later.
is_tarantool() {
  command -v tarantool >/dev/null 2>&1 || return 1
  local major minor
  IFS=. read -r major minor _ < <(tarantool --version 2>/dev/null | sed -n '1s/^Tarantool [A-Za-z ]*\([0-9]*\.[0-9]*\).*/\1/p')
  [ -n "$minor" ] || return 1
  [ "$major" -gt 2 ] || { [ "$major" -eq 2 ] && [ "$minor" -ge 6 ]; }
}

ensure_tarantool() {
  is_tarantool && return 0
  with_apt tarantool && is_tarantool && return 0
  tarantool_say "error: Tarantool 2.6 or later is missing; install the package \`tarantool\` (https://www.tarantool.io/en/download)."
  return 1
}

ensure_luacheck() {
  command -v luacheck >/dev/null 2>&1 && return 0
  with_apt lua-check && command -v luacheck >/dev/null 2>&1 && return 0
  if command -v luarocks >/dev/null 2>&1; then
    as_root luarocks install luacheck >&2 && command -v luacheck >/dev/null 2>&1 && return 0
  fi
  tarantool_say "error: luacheck is missing; install the package \`lua-check\` (or: luarocks install luacheck)."
  return 1
}
