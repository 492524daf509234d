# Gets MinIO's server for the tests: `ensure_minio` sets $minio to its binary; sourced after bootstrap.sh.
#
# It is built from source with Go (about three minutes, once) into .cache/minio-VERSION/bin, because nobody publishes
# binaries of it any more. Progress goes to standard error only.

# Go's name for a commit: MinIO's own RELEASE tags are no versions to Go.
minio_version=v0.0.0-20260212201848-7aac2a2c5b7c
minio=

# Sets $minio; builds it when it is not there yet.
ensure_minio() {
  minio="$root/.cache/minio-$minio_version/bin/minio"
  [ ! -x "$minio" ] || return 0
  if ! command -v go >/dev/null 2>&1; then
    say "error: MinIO's server is needed and built with Go, which is not installed (https://go.dev/dl)."
    return 1
  fi
  mkdir -p "$root/.cache" || return 1
  # A subshell: the lock ends with it, and so does whatever the build sets.
  (
    if command -v flock >/dev/null 2>&1; then
      exec 8>"$root/.cache/minio.lock"
      flock -n 8 || { say "Waiting for another build of MinIO ..." && flock 8; }
    fi
    [ -x "$minio" ] || build_minio
  )
}

# Builds beside the place and renames into it, so that neither an interrupted nor a second build leaves half a binary.
build_minio() {
  say "Building MinIO $minio_version into .cache (once, about three minutes) ..."
  fresh=$(mktemp -d "$root/.cache/minio-new.XXXXXX") || return 1
  trap 'rm -rf "$fresh"' EXIT # of the subshell; `fresh` cannot be local, the function has ended by then
  trap 'exit 130' INT
  trap 'exit 143' TERM
  # GOOS and GOARCH of a cross-compiling caller would name another place than GOBIN; its GOFLAGS may not fit.
  if (cd "$fresh" && env -u GOOS -u GOARCH GOBIN="$fresh/bin" GOFLAGS=-trimpath CGO_ENABLED=0 GOWORK=off nice -n 10 \
    go install -ldflags="-s -w" "github.com/minio/minio@$minio_version") >&2; then
    mkdir -p "${minio%/*}" && mv -f "$fresh/bin/minio" "$minio"
  else
    say "error: MinIO $minio_version could not be built; the lines above say why."
    return 1
  fi
}
