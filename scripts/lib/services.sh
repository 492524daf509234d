# What tests need besides Bun: the programs that they start as servers. Tests start and end the servers themselves, so
# that they can kill them too; here it is only made sure that the programs are there. Sourced after bootstrap.sh.

. "$root/scripts/lib/tarantool.sh"
. "$root/scripts/lib/chromium.sh"
. "$root/scripts/lib/minio.sh"
. "$root/scripts/lib/grpc-clients.sh"
. "$root/scripts/lib/prometheus.sh"
. "$root/scripts/lib/cloudevents.sh"

start_services() {
  ensure_tarantool && ensure_luacheck && ensure_python_connector >/dev/null && ensure_minio && ensure_grpc_clients &&
    ensure_prometheus && ensure_cloudevents_python && ensure_chromium
}

stop_services() { :; }
