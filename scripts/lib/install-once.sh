# Getting something into .cache once: `install_once`, and `ensure_python_environment` on top of it. Sourced after
# bootstrap.sh. Progress goes to standard error only.

# The folder of what was asked for last, and the Python of the environment that was asked for last.
installed=
python=

# install_once NAME KEY PROBE WHAT COMMAND...: sets $installed to .cache/NAME-KEY (.cache/NAME when KEY is empty), which
# is there when `PROBE FOLDER` holds. Otherwise COMMAND is called with $fresh, an empty folder, and what it has put into
# $fresh/done becomes the folder: it is made beside its place and renamed into it, so that an interrupted run leaves
# nothing half done. One installation of a NAME at a time. WHAT names it in messages.
install_once() {
  local name=$1 folder="$root/.cache/$1${2:+-$2}" probe=$3 what=$4
  shift 4
  installed=$folder
  ! "$probe" "$folder" || return 0
  mkdir -p "$root/.cache" || return 1
  # A subshell: the lock ends with it, and so does whatever the installation sets.
  (
    if command -v flock >/dev/null 2>&1; then
      exec 8>"$root/.cache/$name.lock"
      flock -n 8 || { say "Waiting for another installation of $what ..." && flock 8; }
      rm -rf "$root/.cache/$name-new".* # what a killed run left
    fi
    ! "$probe" "$folder" || exit 0
    fresh=$(mktemp -d "$root/.cache/$name-new.XXXXXX") || exit 1
    trap 'rm -rf "$fresh"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    say "Installing $what into .cache ..."
    if ! "$@" >&2; then
      say "error: $what could not be installed; the lines above say why."
      exit 1
    fi
    rm -rf "$folder"
    mv "$fresh/done" "$folder"
  )
}

# ensure_python_environment NAME REQUIREMENTS WHAT: sets $python to an interpreter that has the packages of that file,
# which names all of them in one version each. The environment is made once for each state of the file. The scripts of
# a renamed environment do not run; `$python -m NAME` does.
ensure_python_environment() {
  local name=$1 requirements=$2 what=$3 checksum
  checksum=$(cksum <"$requirements") || return 1
  install_once "$name" "${checksum%% *}" is_python_environment "$what" make_python_environment "$requirements" "$what" ||
    return 1
  python="$installed/bin/python"
}

is_python_environment() { [ -x "$1/bin/python" ]; }

make_python_environment() {
  if ! python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
    say "error: Python 3.10 or newer with venv is needed for $2. Install it (Debian, Ubuntu: apt install python3 python3-venv)."
    return 1
  fi
  python3 -m venv "$fresh/done" &&
    "$fresh/done/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: --no-deps -r "$1"
}

# with_go FOLDER ARGUMENTS OF `go`: runs Go there. Settings of a cross-compiling or vendoring caller would not fit (GOBIN
# is for `go install`, and set by who calls it). The flags are the same for all, so that what they share, Go's own
# library above all, is compiled once.
with_go() {
  local folder=$1
  shift
  if ! command -v go >/dev/null 2>&1; then
    say "error: Go 1.26 or newer is needed, which is not installed (https://go.dev/dl)."
    return 1
  fi
  (cd "$folder" && env -u GOOS -u GOARCH GOFLAGS="-trimpath -buildvcs=false" GOWORK=off CGO_ENABLED=0 go "$@")
}
