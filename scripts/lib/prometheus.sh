# What the tests of the metrics need: Prometheus with promtool, 2.42 or later (Debian's package `prometheus`). Sourced after
# bootstrap.sh; `ensure_prometheus` sets $prometheus_bin to the folder that has both. Progress goes to standard error only.
#
# Debian's package is unpacked into .cache, not installed: installing it would start a service.

prometheus_bin=

# has_prometheus FOLDER: whether both programs in it run and are new enough. "" is the path.
has_prometheus() {
  local at=${1:+$1/} major minor
  "${at}promtool" --version >/dev/null 2>&1 || return 1
  IFS=. read -r major minor _ < <("${at}prometheus" --version 2>&1 | sed -n '1s/^prometheus, version \([0-9]*\.[0-9]*\).*/\1/p')
  [ -n "$minor" ] || return 1
  [ "$major" -gt 2 ] || { [ "$major" -eq 2 ] && [ "$minor" -ge 42 ]; }
}

# Sets $prometheus_bin; unpacks the package when neither the path nor .cache has the programs.
ensure_prometheus() {
  if has_prometheus ""; then
    prometheus_bin=$(dirname "$(command -v prometheus)")
    return 0
  fi
  prometheus_bin="$root/.cache/prometheus/usr/bin"
  ! has_prometheus "$prometheus_bin" || return 0
  mkdir -p "$root/.cache" || return 1
  # A subshell: the lock ends with it, and so does whatever unpacking sets.
  (
    if command -v flock >/dev/null 2>&1; then
      exec 8>"$root/.cache/prometheus.lock"
      flock -n 8 || { say "Waiting for another download of Prometheus ..." && flock 8; }
    fi
    has_prometheus "$prometheus_bin" || unpack_prometheus
  )
}

# Unpacks beside the place and renames into it, so that an interrupted run leaves nothing half done.
unpack_prometheus() {
  say "Getting Debian's package of Prometheus into .cache ..."
  fresh=$(mktemp -d "$root/.cache/prometheus-new.XXXXXX") || return 1
  trap 'rm -rf "$fresh"' EXIT # of the subshell
  trap 'exit 130' INT
  trap 'exit 143' TERM
  if command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 && download_prometheus >&2 &&
    dpkg-deb -x "$fresh"/prometheus_*.deb "$fresh/files" && has_prometheus "$fresh/files/usr/bin"; then
    rm -rf "$root/.cache/prometheus"
    mv "$fresh/files" "$root/.cache/prometheus"
  else
    say "error: Prometheus 2.42 or later with promtool is missing; put both into the path (Debian: apt install prometheus; or https://prometheus.io/download)."
    return 1
  fi
}

# The lists of packages may be older than the packages. Updating them needs root, downloading does not.
download_prometheus() {
  (cd "$fresh" && apt-get -q download prometheus) || {
    apt-get -q -o DPkg::Lock::Timeout=300 update && (cd "$fresh" && apt-get -q download prometheus)
  }
}
