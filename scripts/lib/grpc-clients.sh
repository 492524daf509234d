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

. "$root/scripts/lib/install-once.sh"

grpc_sources="$root/src/testing/grpc"
grpc_clients=

# Sets $grpc_clients; installs, generates and builds what is not there yet.
ensure_grpc_clients() {
  local checksum
  checksum=$(cat "$grpc_sources"/python/requirements.txt "$grpc_sources"/protos/*.proto "$grpc_sources"/go/go.* \
    "$grpc_sources"/go/*.go | cksum) || return 1
  install_once grpc-clients "${checksum%% *}" is_grpc_clients "the gRPC clients" build_grpc_clients || return 1
  grpc_clients=$installed
}

is_grpc_clients() { [ -x "$1/bin/grpcurl" ] && [ -x "$1/venv/bin/python" ]; }

ensure_grpc_python() {
  ensure_python_environment grpc-python "$grpc_sources/python/requirements.txt" "the Python gRPC client"
}

build_grpc_clients() {
  local packages generation
  # The Python packages come down while Go compiles its plugins.
  ensure_grpc_python &
  packages=$!
  mkdir -p "$fresh/done/bin" "$fresh/plugins" &&
    with_go "$grpc_sources/go" build -o "$fresh/plugins/" \
      google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc &&
    with_go "$grpc_sources/go" build -ldflags="-s -w" -o "$fresh/done/bin/" github.com/fullstorydev/grpcurl/cmd/grpcurl ||
    return 1
  wait "$packages" && ensure_grpc_python || return 1
  for generation in early later; do
    generate_grpc_stubs "$generation" &&
      with_go "$fresh/$generation" build -tags "$generation" -o "$fresh/done/bin/client-$generation" . || return 1
  done
  # Relative: the folder moves.
  ln -s "../${installed##*/}" "$fresh/done/venv"
}

# generate_grpc_stubs GENERATION: Python's into their place, Go's beside a copy of the program. Both generations are one
# proto package, so one program can hold only one of them.
generate_grpc_stubs() {
  local module stubs="$fresh/done/stubs/$1" program="$fresh/$1"
  module=$(sed -n 's/^module //p' "$grpc_sources/go/go.mod")/stubs
  mkdir -p "$stubs" "$program/stubs" "$fresh/protos-$1" || return 1
  cp "$grpc_sources/protos/$1.proto" "$fresh/protos-$1/minitoolstream.proto" &&
    cp "$grpc_sources"/go/go.* "$grpc_sources"/go/*.go "$program" &&
    "$python" -m grpc_tools.protoc -I "$fresh/protos-$1" \
      --python_out="$stubs" --grpc_python_out="$stubs" \
      --plugin=protoc-gen-go="$fresh/plugins/protoc-gen-go" \
      --plugin=protoc-gen-go-grpc="$fresh/plugins/protoc-gen-go-grpc" \
      --go_out="$program/stubs" --go_opt="paths=source_relative,Mminitoolstream.proto=$module" \
      --go-grpc_out="$program/stubs" --go-grpc_opt="paths=source_relative,Mminitoolstream.proto=$module" \
      minitoolstream.proto
}
