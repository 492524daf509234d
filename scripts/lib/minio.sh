# Gets MinIO's server for the tests: `ensure_minio` sets $minio to its binary; sourced after bootstrap.sh.
#
# It is built from source with Go (about three minutes, once) into .cache/minio-VERSION/bin, because nobody publishes
# binaries of it any more. Progress goes to standard error only.

. "$root/scripts/lib/install-once.sh"

# Go's name for a commit: MinIO's own RELEASE tags are no versions to Go.
minio_version=v0.0.0-20260212201848-7aac2a2c5b7c
minio=

# Sets $minio; builds it when it is not there yet.
ensure_minio() {
  install_once minio "$minio_version" is_minio "MinIO $minio_version (once, about three minutes)" build_minio || return 1
  minio="$installed/bin/minio"
}

is_minio() { [ -x "$1/bin/minio" ]; }

build_minio() {
  mkdir -p "$fresh/done" &&
    GOBIN="$fresh/done/bin" with_go "$fresh" install -ldflags="-s -w" "github.com/minio/minio@$minio_version"
}
