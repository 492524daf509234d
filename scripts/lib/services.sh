# What tests need besides Bun: servers such as a Tarantool or an S3 are started and ended here, once for a whole run.
# There are none yet: every test starts what it needs itself.

start_services() { :; }

stop_services() { :; }
