# What the tests of the metrics need: Prometheus with promtool, 2.42 or later (Debian's package `prometheus`). Sourced after
# bootstrap.sh; `ensure_prometheus` sets $prometheus to the folder that has both. Progress goes to standard error only.
#
# Debian's package is unpacked into .cache, not installed: installing it would start a service.

. "$root/scripts/lib/install-once.sh"

prometheus=

# has_prometheus FOLDER: whether both programs in it run and are new enough. "" is the path.
has_prometheus() {
  local at=${1:+$1/} major minor
  "${at}promtool" --version >/dev/null 2>&1 || return 1
  IFS=. read -r major minor _ < <("${at}prometheus" --version 2>&1 | sed -n '1s/^prometheus, version \([0-9]*\.[0-9]*\).*/\1/p')
  [ -n "$minor" ] || return 1
  [ "$major" -gt 2 ] || { [ "$major" -eq 2 ] && [ "$minor" -ge 42 ]; }
}

# Sets $prometheus; unpacks the package when neither the path nor .cache has the programs.
ensure_prometheus() {
  if has_prometheus ""; then
    prometheus=$(dirname "$(command -v prometheus)")
    return 0
  fi
  install_once prometheus "" is_prometheus "Debian's package of Prometheus" unpack_prometheus || return 1
  prometheus="$installed/usr/bin"
}

is_prometheus() { has_prometheus "$1/usr/bin"; }

unpack_prometheus() {
  if command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 && download_prometheus &&
    dpkg-deb -x "$fresh"/prometheus_*.deb "$fresh/done" && is_prometheus "$fresh/done"; then
    return 0
  fi
  say "error: Prometheus 2.42 or later with promtool is missing; put both into the path (Debian: apt install prometheus; or https://prometheus.io/download)."
  return 1
}

# The lists of packages may be older than the packages. Updating them needs root, downloading does not.
download_prometheus() {
  (cd "$fresh" && apt-get -q download prometheus) || {
    apt-get -q -o DPkg::Lock::Timeout=300 update && (cd "$fresh" && apt-get -q download prometheus)
  }
}
