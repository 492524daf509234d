-- What Tarantool brings beside LuaJIT.
std = "luajit"
globals = { "box", "_G" }
read_globals = { "tonumber64", table = { fields = { "new" } } }
max_line_length = 120
files["test"] = { std = "+lua51" }
