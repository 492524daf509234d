--- Deletes a consumer. Takes `{subject, name}`, answers the state it had, or null.

local consumers = require("mts.consumers")
local feed = require("mts.feed")

local M = {}

function M.run(context, request)
    local consumer = consumers.find(request[1], request[2])
    if consumer == nil then return box.NULL end
    local state = consumers.state(consumer, context.now_ms)
    consumers.remove(consumer)
    context.changes[#context.changes + 1] = { feed.consumer, consumer.subject, consumer.name, true }
    return state
end

return M
