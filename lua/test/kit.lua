--- What the tests share: an instance in the current folder, which the runner makes and removes.

local M = {}

--- Starts the database with its schema; the modules can be required from then on.
function M.start(options)
    options = options or {}
    box.cfg({
        log = "tarantool.log",
        wal_mode = options.wal_mode or "write",
        memtx_max_tuple_size = 8 * 2 ^ 20,
    })
    if options.schema ~= false then require("mts.schema").upgrade() end
end

--- The exported functions as a server calls them: `read(name, …)` and `write(name, …)`, which also answers a function
-- that sends the same call once more.
function M.connect()
    local msgpack, wire = require("msgpack"), require("mts.wire")
    local functions = require("mts.api").functions()
    local number = 0
    local function call(name, request)
        local answer = msgpack.decode(wire.bytes(functions["mts_" .. name](msgpack.encode(request))[1]))
        if answer[1] ~= 0 then error({ mts = answer[1], reason = answer[2] }, 0) end
        return answer[2]
    end
    local function read(name, ...) return call(name, { ... }) end
    local function write(name, ...)
        number = number + 1
        local request = { "client", 0, number, { ... } }
        local function again() return call(name, request) end
        return again(), again
    end
    return read, write, functions
end

--- Ends the test with what it found.
function M.finish(test)
    os.exit(test:check() and 0 or 1)
end

--- Number and text of a raised error.
function M.refusal(run, ...)
    local done, caught = pcall(run, ...)
    if done then return nil end
    local number, reason = require("mts.errors").describe(caught)
    return number, reason
end

return M
