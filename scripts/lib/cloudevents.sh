# Gets the CloudEvents SDK of Python for the tests: `ensure_cloudevents_python` sets $cloudevents_python to an interpreter
# that has it.
#
# Sourced after bootstrap.sh. The packages come from PyPI, in the versions of src/testing/events/python/requirements.txt.
# They land in .cache, once for each state of that file. Progress goes to standard error only.

cloudevents_requirements="$root/src/testing/events/python/requirements.txt"
cloudevents_python=

# Sets $cloudevents_python; installs what is not there yet.
ensure_cloudevents_python() {
  local packages venv
  packages=$(cksum <"$cloudevents_requirements") || return 1
  venv="$root/.cache/cloudevents-python-${packages%% *}"
  cloudevents_python="$venv/bin/python"
  [ ! -x "$cloudevents_python" ] || return 0
  if ! python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
    say "error: The CloudEvents tests need Python 3.10 or newer with venv. Install it (Debian, Ubuntu: apt install python3 python3-venv)."
    return 1
  fi
  mkdir -p "$root/.cache" || return 1
  # A subshell: the lock ends with it, and so does whatever the installation sets.
  (
    if command -v flock >/dev/null 2>&1; then
      exec 8>"$root/.cache/cloudevents.lock"
      flock -n 8 || { say "Waiting for another installation of the CloudEvents SDK ..." && flock 8; }
    fi
    [ ! -x "$cloudevents_python" ] || exit 0
    fresh=$(mktemp -d "$root/.cache/cloudevents-new.XXXXXX") || exit 1
    trap 'rm -rf "$fresh"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    say "Installing the CloudEvents SDK for Python into .cache ..."
    if ! { python3 -m venv "$fresh/venv" &&
      "$fresh/venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: --no-deps \
        -r "$cloudevents_requirements"; } >&2; then
      say "error: The CloudEvents SDK could not be installed from PyPI; the lines above say why."
      exit 1
    fi
    # Beside its place and renamed into it, so that an interrupted run leaves nothing half done.
    rm -rf "$venv"
    mv "$fresh/venv" "$venv"
  )
}
