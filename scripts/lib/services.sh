# What tests need besides Bun: the programs that they start as servers. Tests start and end the servers themselves, so
# that they can kill them too; here it is only made sure that the programs are there. Sourced after bootstrap.sh.

. "$root/scripts/lib/tarantool.sh"
. "$root/scripts/lib/minio.sh"
. "$root/scripts/lib/grpc-clients.sh"

start_services() {
  ensure_tarantool && ensure_luacheck && ensure_python_connector >/dev/null && ensure_minio && ensure_grpc_clients
}

stop_services() { :; }
