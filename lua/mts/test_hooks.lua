--- What tests need and nobody else gets: a clock that stands still, and an empty store without a new process. Only
-- loaded when the environment asks for it; the functions are dropped at the next start without.

local clock = require("mts.clock")
local feed = require("mts.feed")
local row_log = require("mts.row_log")
local schema = require("mts.schema")
local writer = require("mts.writer")

local M = {}

local start_ms = 1700000000000

local function advance(ms)
    clock.freeze(clock.now_ms() + ms)
end

local function rows_of(space)
    return box.space["mts_" .. space]:len()
end

local function reset()
    writer.write(function()
        for _, space in box.space._space:pairs() do
            local name = space[3]
            if name:find("^mts_") and name ~= "mts_store" then
                local rows = box.space[name]
                local fields = rows.index[0].parts
                for _, row in ipairs(rows:select()) do
                    local key = {}
                    for place, part in ipairs(fields) do key[place] = row[part.fieldno] end
                    rows:delete(key)
                end
            end
        end
        schema.renew_epoch()
    end)
    feed.restart()
    row_log.restart()
    clock.freeze(start_ms)
end

M.functions = { mts_test_advance = advance, mts_test_reset = reset, mts_test_rows = rows_of }

--- Stops the clock.
function M.start()
    clock.freeze(start_ms)
end

return M
