# Gets the CloudEvents SDK of Python for the tests: `ensure_cloudevents_python` sets $cloudevents_python to an interpreter
# that has it. Sourced after bootstrap.sh. The packages come from PyPI.

. "$root/scripts/lib/install-once.sh"

cloudevents_python=

ensure_cloudevents_python() {
  ensure_python_environment cloudevents-python "$root/src/testing/events/python/requirements.txt" \
    "the CloudEvents SDK for Python" || return 1
  cloudevents_python=$python
}
