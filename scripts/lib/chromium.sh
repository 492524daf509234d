# What the tests of the pages need: Chromium, driven by the tests themselves. Sourced after tarantool.sh, which has the
# installer. Progress goes to standard error.

# is_chromium: whether one that the tests find (src/testing/browser/chromium.ts) starts.
is_chromium() {
  local name
  for name in chromium chromium-browser google-chrome-stable google-chrome; do
    command -v "$name" >/dev/null 2>&1 && "$name" --version >/dev/null 2>&1 && return 0
  done
  return 1
}

ensure_chromium() {
  is_chromium && return 0
  with_apt chromium && is_chromium && return 0
  tarantool_say "error: Chromium is missing; install the package \`chromium\` (https://www.chromium.org/getting-involved/download-chromium)."
  return 1
}
