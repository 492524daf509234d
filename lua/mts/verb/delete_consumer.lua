--- Deletes a consumer. Takes `{subject, name}`, answers the state it had, or null.

local consumers = require("mts.consumers")
local feed = require("mts.feed")
local giving_up = require("mts.giving_up")
local retention = require("mts.retention")

local M = {}

function M.run(context, request)
    retention.cut_expired(context, request[1])
    local consumer = consumers.find(request[1], request[2])
    if consumer == nil then return box.NULL end
    local state = giving_up.state(context, consumer)
    consumers.remove(consumer)
    context.changes[#context.changes + 1] = { feed.consumer, consumer.subject, consumer.name, true }
    return state
end

return M
