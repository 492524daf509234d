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
