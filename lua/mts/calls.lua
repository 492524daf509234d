--- Forgets the outcomes of callers that are gone. A caller counts as gone when it has made no call for many ticks of
-- this fiber, not after a time: a process that was stopped for an hour has missed the calls that still lie in its
-- sockets, and must answer them from what it remembers before it forgets.

local fiber = require("fiber")
local log = require("log")
local store = require("mts.store")

local M = {}

local tick_s = 10
--- Ticks without a call after which a caller is forgotten: ten minutes.
local ticks_max = 60
--- Rows removed in one transaction.
local slice_rows = 1000

--- For each caller its sum of call numbers when it was last seen to change, and how many ticks ago that was.
local callers = {}

local function sums()
    local found = {}
    for _, row in box.space.mts_calls:pairs() do found[row[1]] = (found[row[1]] or 0) + tonumber(row[3]) end
    return found
end

local function forget(client)
    for _, row in ipairs(box.space.mts_calls:select({ client }, { limit = slice_rows })) do
        store.delete("mts_calls", { client, row[2] })
    end
end

--- One tick; answers the callers that are gone.
function M.tick()
    local found, gone = sums(), {}
    for client, sum in pairs(found) do
        local known = callers[client]
        if known == nil or known.sum ~= sum then
            callers[client] = { sum = sum, ticks = 0 }
        else
            known.ticks = known.ticks + 1
            if known.ticks >= ticks_max then gone[#gone + 1] = client end
        end
    end
    for client in pairs(callers) do
        if found[client] == nil then callers[client] = nil end
    end
    return gone
end

--- Starts forgetting.
function M.start()
    local writer = require("mts.writer")
    fiber.create(function()
        fiber.name("mts_calls")
        while true do
            fiber.sleep(tick_s)
            for _, client in ipairs(M.tick()) do
                local done, reason = pcall(writer.write, function() forget(client) end)
                if not done then log.warn("calls: %s", tostring(reason)) end
            end
        end
    end)
end

return M
