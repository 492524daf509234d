# Makes Bun and the dependencies ready; sourced by scripts/start, scripts/test and scripts/check.
#
# After `bootstrap`, $root is the repository and $bun the Bun binary that package.json pins. Needs git and Node, or
# curl. Everything installed lands in .cache/bun and node_modules. Progress goes to standard error only.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
bun=

say() { printf '%s\n' "$*" >&2; }

die() {
  say "error: $*"
  exit 1
}

# The exact version in "engines": {"bun": "1.2.3"}.
pinned_bun_version() {
  sed -n '/"engines"/,/}/s/.*"bun"[[:space:]]*:[[:space:]]*"\([0-9][0-9A-Za-z.-]*\)".*/\1/p' "$root/package.json"
}

# is_bun FILE VERSION: whether FILE runs and is that version.
is_bun() { [ -x "$1" ] && [ "$("$1" --version 2>/dev/null)" = "$2" ]; }

# Sets $bun when the pinned version is there already.
find_bun() {
  local candidate
  for candidate in "$(type -P bun)" "$root/.cache/bun/$1/bun"; do
    if [ -n "$candidate" ] && is_bun "$candidate" "$1"; then
      bun=$candidate
      return 0
    fi
  done
  return 1
}

# with_npm FOLDER VERSION: prints the binary. Newer versions of npm may not run the package's install script, which
# puts the binary in place, so it is run by hand when the binary does not work.
with_npm() {
  command -v npm >/dev/null 2>&1 && command -v node >/dev/null 2>&1 || return 1
  npm install --prefix "$1" --no-save --no-audit --no-fund --no-update-notifier --loglevel=error "bun@$2" >&2 || return 1
  local package="$1/node_modules/bun"
  is_bun "$package/bin/bun.exe" "$2" || (cd "$package" && node install.js) >&2 || return 1
  printf '%s\n' "$package/bin/bun.exe"
}

# with_curl FOLDER VERSION: prints the binary. With this SHELL the installer leaves the shell's own files alone.
with_curl() {
  command -v curl >/dev/null 2>&1 || return 1
  curl -fsSL https://bun.sh/install -o "$1/install.sh" || return 1
  BUN_INSTALL=$1 SHELL=/bin/sh bash "$1/install.sh" "bun-v$2" >&2 || return 1
  printf '%s\n' "$1/bin/bun"
}

# Installs Bun beside its place and renames it into it, so that an interrupted run leaves nothing half done.
install_bun() {
  local version=$1 target="$root/.cache/bun/$1" fresh by binary
  say "Installing Bun $version into .cache/bun ..."
  rm -rf "$root/.cache/bun"/new.* # what an interrupted run left; the lock is held
  for by in with_npm with_curl; do
    fresh=$(mktemp -d "$root/.cache/bun/new.XXXXXX") || die "cannot write to $root/.cache/bun"
    binary=$("$by" "$fresh" "$version") && is_bun "$binary" "$version" && mkdir -p "$target" &&
      mv -f "$binary" "$target/bun" && bun=$target/bun
    rm -rf "$fresh"
    [ -n "$bun" ] && return 0
  done
  die "Bun $version could not be installed. Install it yourself (https://bun.sh), so that \`bun --version\` says $version."
}

# dependencies_are_fresh: whether node_modules was installed from exactly this lock file.
dependencies_are_fresh() { cmp -s "$root/bun.lock" "$root/node_modules/.installed.lock"; }

install_dependencies() {
  say "Installing dependencies ..."
  rm -f "$root/node_modules/.installed.lock"
  (cd "$root" && "$bun" install --frozen-lockfile) >&2 || die "the dependencies could not be installed"
  cp "$root/bun.lock" "$root/node_modules/.installed.lock"
}

# One installer at a time. The kernel frees a flock when its holder dies; the folder that replaces it where there is
# no flock (macOS) has to be removed by hand after a crash, and the wait says so.
lock() {
  mkdir -p "$root/.cache/bun" || die "cannot write to $root/.cache"
  if command -v flock >/dev/null 2>&1; then
    exec 9>"$root/.cache/install.lock"
    flock -n 9 || { say "Waiting for another installation ..." && flock 9; }
    return
  fi
  local waited=0
  until mkdir "$root/.cache/install.lock.d" 2>/dev/null; do
    [ "$waited" -gt 0 ] || say "Waiting for another installation (if there is none, remove .cache/install.lock.d) ..."
    waited=$((waited + 1))
    [ "$waited" -lt 600 ] || die "gave up waiting; remove $root/.cache/install.lock.d"
    sleep 1
  done
  trap 'rmdir "$root/.cache/install.lock.d" 2>/dev/null' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

unlock() {
  if command -v flock >/dev/null 2>&1; then
    exec 9>&-
    return
  fi
  rmdir "$root/.cache/install.lock.d" 2>/dev/null
  trap - EXIT INT TERM
}

# Sets $bun and installs what is missing; does nothing, fast, when all is there.
bootstrap() {
  local version
  version=$(pinned_bun_version)
  [ -n "$version" ] || die "package.json pins no Bun version under engines.bun"
  if find_bun "$version" && dependencies_are_fresh; then return; fi
  lock
  find_bun "$version" || install_bun "$version"
  dependencies_are_fresh || install_dependencies
  unlock
}
