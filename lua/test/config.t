#!/usr/bin/env tarantool
--- Settings from the environment.
package.path = debug.getinfo(1, "S").source:match("^@(.*)/test/") .. "/?.lua;" .. package.path

local test = require("tap").test("config")
local config = require("mts.config")

test:plan(6)

local environment = {}
os.getenv = function(name) return environment[name] end -- luacheck: ignore 122

local defaults = config.database()
test:is(defaults.wal_mode, "fsync", "durable unless told otherwise")
test:is(defaults.listen, "127.0.0.1:3301", "only this machine unless told otherwise")
environment = { MTS_TARANTOOL_MEMORY = "2GiB", MTS_TARANTOOL_DIR = "/data", MTS_TARANTOOL_CHECKPOINT_COUNT = "5" }
local options = config.database()
test:is_deeply({ options.memtx_memory, options.work_dir, options.checkpoint_count }, { 2 ^ 31, "/data", 5 }, "read")

local function refused(name, value)
    environment = { [name] = value }
    local done, reason = pcall(config.database)
    return not done and reason:find(name, 1, true) ~= nil
end
test:ok(refused("MTS_TARANTOOL_MEMORY", "much"), "a bad size is refused by name")
test:ok(refused("MTS_TARANTOOL_WAL_MODE", "never"), "a bad mode is refused by name")
test:ok(refused("MTS_TARANTOOL_CHECKPOINT_COUNT", "-1"), "a bad number is refused by name")

os.exit(test:check() and 0 or 1)
