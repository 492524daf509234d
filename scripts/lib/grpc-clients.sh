# Gets the foreign gRPC clients of the tests: `ensure_grpc_clients` sets $grpc_clients to a folder with
#
#   venv/bin/python            runs src/testing/grpc/python/client.py
#   stubs/early, stubs/later   what protoc makes of src/testing/grpc/protos for it, one folder a generation
#   bin/client-early, bin/client-later, bin/grpcurl
#
# Sourced after bootstrap.sh. The packages come from PyPI and from Go's proxy, in the versions of
# src/testing/grpc/python/requirements.txt, go/go.mod and go/go.sum, and nothing generated is kept in the repository:
# protoc comes with grpcio-tools, its plugins for Go are tools of go.mod. It lands in .cache, once for each state of the
# files that it is made of (a minute or two the first time). Progress goes to standard error only.

grpc_sources="$root/src/testing/grpc"
grpc_clients=

# Sets $grpc_clients; installs, generates and builds what is not there yet.
ensure_grpc_clients() {
  local packages clients
  packages=$(cksum <"$grpc_sources/python/requirements.txt") || return 1
  clients=$(cat "$grpc_sources"/python/requirements.txt "$grpc_sources"/protos/*.proto "$grpc_sources"/go/go.* \
    "$grpc_sources"/go/*.go | cksum) || return 1
  grpc_venv="$root/.cache/grpc-python-${packages%% *}"
  grpc_clients="$root/.cache/grpc-clients-${clients%% *}"
  [ ! -x "$grpc_clients/bin/grpcurl" ] || [ ! -x "$grpc_clients/venv/bin/python" ] || return 0
  if ! python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
    say "error: The gRPC tests need Python 3.10 or newer with venv. Install it (Debian, Ubuntu: apt install python3 python3-venv)."
    return 1
  fi
  if ! command -v go >/dev/null 2>&1; then
    say "error: The gRPC tests need Go 1.26 or newer, which is not installed (https://go.dev/dl)."
    return 1
  fi
  mkdir -p "$root/.cache" || return 1
  # A subshell: the lock ends with it, and so does whatever the installation sets.
  (
    if command -v flock >/dev/null 2>&1; then
      exec 8>"$root/.cache/grpc-clients.lock"
      flock -n 8 || { say "Waiting for another installation of the gRPC clients ..." && flock 8; }
    fi
    fresh=$(mktemp -d "$root/.cache/grpc-new.XXXXXX") || exit 1
    trap 'rm -rf "$fresh"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    # The Python packages come down while Go compiles its plugins.
    { [ -x "$grpc_venv/bin/python" ] || install_grpc_python; } &
    python_job=$!
    [ -x "$grpc_clients/bin/grpcurl" ] || build_grpc_tools || exit 1
    wait "$python_job" || exit 1
    [ -x "$grpc_clients/bin/grpcurl" ] || build_grpc_clients
  )
}

# Like everything below it makes things beside their place and renames them into it, so that an interrupted run leaves
# nothing half done. The scripts of a renamed environment do not run; `python -m NAME` does.
install_grpc_python() {
  say "Installing grpcio and its tools into .cache ..."
  if ! { python3 -m venv "$fresh/venv" &&
    "$fresh/venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: --no-deps \
      -r "$grpc_sources/python/requirements.txt"; } >&2; then
    say "error: The Python gRPC client could not be installed from PyPI; the lines above say why."
    return 1
  fi
  rm -rf "$grpc_venv"
  mv "$fresh/venv" "$grpc_venv"
}

# with_go FOLDER ARGUMENTS OF `go`: settings of a cross-compiling or vendoring caller would not fit.
with_go() {
  local folder=$1
  shift
  (cd "$folder" && env -u GOOS -u GOARCH -u GOBIN GOFLAGS=-buildvcs=false GOWORK=off CGO_ENABLED=0 nice -n 10 go "$@") >&2
}

build_grpc_tools() {
  say "Building the Go gRPC clients of the tests into .cache ..."
  mkdir -p "$fresh/clients/bin" "$fresh/plugins"
  with_go "$grpc_sources/go" build -o "$fresh/plugins/" \
    google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc &&
    with_go "$grpc_sources/go" build -ldflags="-s -w" -o "$fresh/clients/bin/" github.com/fullstorydev/grpcurl/cmd/grpcurl && return
  say "error: The tools of the gRPC tests could not be built; the lines above say why."
  return 1
}

build_grpc_clients() {
  local generation
  for generation in early later; do
    generate_grpc_stubs "$generation" &&
      with_go "$fresh/$generation" build -tags "$generation" -o "$fresh/clients/bin/client-$generation" . && continue
    say "error: The gRPC clients of the tests could not be built; the lines above say why."
    return 1
  done
  ln -s "../${grpc_venv##*/}" "$fresh/clients/venv"
  rm -rf "$grpc_clients"
  mv "$fresh/clients" "$grpc_clients"
}

# generate_grpc_stubs GENERATION: Python's into their place, Go's beside a copy of the program. Both generations are one
# proto package, so one program can hold only one of them.
generate_grpc_stubs() {
  local module stubs="$fresh/clients/stubs/$1" program="$fresh/$1"
  module=$(sed -n 's/^module //p' "$grpc_sources/go/go.mod")/stubs
  mkdir -p "$stubs" "$program/stubs" "$fresh/protos-$1" || return 1
  cp "$grpc_sources/protos/$1.proto" "$fresh/protos-$1/minitoolstream.proto" &&
    cp "$grpc_sources"/go/go.* "$grpc_sources"/go/*.go "$program" &&
    "$grpc_venv/bin/python" -m grpc_tools.protoc -I "$fresh/protos-$1" \
      --python_out="$stubs" --grpc_python_out="$stubs" \
      --plugin=protoc-gen-go="$fresh/plugins/protoc-gen-go" \
      --plugin=protoc-gen-go-grpc="$fresh/plugins/protoc-gen-go-grpc" \
      --go_out="$program/stubs" --go_opt="paths=source_relative,Mminitoolstream.proto=$module" \
      --go-grpc_out="$program/stubs" --go-grpc_opt="paths=source_relative,Mminitoolstream.proto=$module" \
      minitoolstream.proto >&2
}
