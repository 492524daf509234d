--- The states of all consumers of a subject, in byte order of their names. Takes `{subject}`. A write, as what has used
-- up its deliveries is settled by looking at it.

local consumers = require("mts.consumers")
local retention = require("mts.retention")

local M = {}

function M.run(context, request)
    retention.cut_expired(context, request[1])
    local states = {}
    for _, consumer in ipairs(consumers.list(request[1])) do
        states[#states + 1] = consumers.state(consumer, context.now_ms)
    end
    return states
end

return M
