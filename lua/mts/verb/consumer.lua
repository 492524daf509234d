--- The state of one consumer. Takes `{subject, name}`, answers a state or null. A write, as what has used up its
-- deliveries is given up by looking at it.

local consumers = require("mts.consumers")
local giving_up = require("mts.giving_up")
local retention = require("mts.retention")

local M = {}

function M.run(context, request)
    retention.cut_expired(context, request[1])
    local consumer = consumers.find(request[1], request[2])
    return consumer == nil and box.NULL or giving_up.state(context, consumer)
end

return M
