# Gets the checkers of the deployment files (deploy-tools.requirements.txt says which): `ensure_deploy_python` sets
# $deploy_python to a Python that has them, `ensure_actionlint` sets $actionlint; sourced after bootstrap.sh.
#
# They are installed from PyPI (about fifteen seconds, once) into .cache/deploy-tools-CHECKSUM, and with Go (about twenty)
# into .cache/actionlint-VERSION. Progress goes to standard error only.

. "$root/scripts/lib/install-once.sh"

deploy_python=
actionlint_version=v1.7.7
actionlint=

# Sets $deploy_python; installs when it is not there yet.
ensure_deploy_python() {
  ensure_python_environment deploy-tools "$root/scripts/lib/deploy-tools.requirements.txt" \
    "the checkers of the deployment files" || return 1
  deploy_python=$python
}

# Sets $actionlint; builds it when it is not there yet.
ensure_actionlint() {
  install_once actionlint "$actionlint_version" is_actionlint "actionlint $actionlint_version" build_actionlint || return 1
  actionlint="$installed/actionlint"
}

is_actionlint() { [ -x "$1/actionlint" ]; }

build_actionlint() {
  mkdir -p "$fresh/done" &&
    GOBIN="$fresh/done" with_go "$fresh" install "github.com/rhysd/actionlint/cmd/actionlint@$actionlint_version"
}
