# Gets the checkers of the deployment files (deploy-tools.requirements.txt says which): `ensure_deploy_tools` sets
# $deploy_python to a Python that has them, `ensure_actionlint` sets $actionlint; sourced after bootstrap.sh.
#
# They are installed from PyPI (about fifteen seconds, once) into .cache/deploy-tools-CHECKSUM, and with Go (about twenty)
# into .cache/actionlint-VERSION. Progress goes to standard error only.

deploy_requirements="$root/scripts/lib/deploy-tools.requirements.txt"
deploy_python=
actionlint_version=v1.7.7
actionlint=

# Sets $deploy_python; installs when it is not there yet.
ensure_deploy_tools() {
  local checksum
  checksum=$(cksum <"$deploy_requirements") || return 1
  deploy_folder="$root/.cache/deploy-tools-${checksum%% *}"
  deploy_python="$deploy_folder/bin/python"
  [ ! -x "$deploy_python" ] || return 0
  if ! python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
    say "error: The deployment files are checked with Python 3.10 or newer with venv. Install it (Debian, Ubuntu: apt install python3 python3-venv)."
    return 1
  fi
  mkdir -p "$root/.cache" || return 1
  # A subshell: the lock ends with it, and so does whatever the installation sets.
  (
    if command -v flock >/dev/null 2>&1; then
      exec 8>"$root/.cache/deploy-tools.lock"
      flock -n 8 || { say "Waiting for another installation of the deployment checkers ..." && flock 8; }
    fi
    [ -x "$deploy_python" ] || install_deploy_tools
  )
}

# Installs beside the place and renames into it, so that an interrupted run leaves nothing half done. The scripts of
# the environment know its first name, so packages are run as `$deploy_python -m NAME`.
install_deploy_tools() {
  say "Installing the checkers of the deployment files into .cache ..."
  fresh=$(mktemp -d "$root/.cache/deploy-tools-new.XXXXXX") || return 1
  trap 'rm -rf "$fresh"' EXIT # of the subshell
  trap 'exit 130' INT
  trap 'exit 143' TERM
  if ! { python3 -m venv "$fresh" &&
    "$fresh/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: -r "$deploy_requirements"; } >&2; then
    say "error: The checkers of the deployment files could not be installed from PyPI; the lines above say why."
    return 1
  fi
  rm -rf "$deploy_folder"
  mv "$fresh" "$deploy_folder"
}

# Sets $actionlint; builds it when it is not there yet.
ensure_actionlint() {
  actionlint="$root/.cache/actionlint-$actionlint_version/actionlint"
  [ ! -x "$actionlint" ] || return 0
  if ! command -v go >/dev/null 2>&1; then
    say "error: The workflows are checked with actionlint, which is built with Go, which is not installed (https://go.dev/dl)."
    return 1
  fi
  say "Building actionlint $actionlint_version into .cache ..."
  mkdir -p "${actionlint%/*}" &&
    env -u GOOS -u GOARCH GOBIN="${actionlint%/*}" GOFLAGS=-trimpath CGO_ENABLED=0 GOWORK=off nice -n 10 \
      go install "github.com/rhysd/actionlint/cmd/actionlint@$actionlint_version" >&2 || {
    say "error: actionlint $actionlint_version could not be built; the lines above say why."
    return 1
  }
}
