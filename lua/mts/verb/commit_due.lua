--- Commits delayed messages that are due, the earliest first. Takes `{window_ms, limit}`, answers `{how many were
-- committed, milliseconds until more is due or null}`. What a policy has no room for waits on.

local batch = require("mts.batch")
local commit = require("mts.verb.commit")
local delayed = require("mts.delayed")
local number = require("mts.number")

local M = {}

--- Messages in one transaction.
local limit_max = 10000

function M.run(context, request)
    local window_ms = number.uint(request[1], "window_ms")
    local limit, now_ms = math.min(number.uint(request[2], "limit"), limit_max), context.now_ms
    local messages = delayed.due(limit, now_ms)
    local refused = batch.commit(context, messages, window_ms)
    local committed = 0
    for place, message in ipairs(messages) do
        if refused[place] == commit.subject_full then
            delayed.put_off(message, now_ms)
        else
            delayed.remove(message, now_ms)
            if refused[place] == nil then committed = committed + 1 end
        end
    end
    local next_in_ms = delayed.next_in_ms(now_ms)
    return { committed, next_in_ms == nil and box.NULL or next_in_ms }
end

return M
