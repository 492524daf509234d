--- The states of all consumers of a subject, in byte order of their names. Takes `{subject}`. A write, as what has used
-- up its deliveries is given up by looking at it.

local consumers = require("mts.consumers")
local giving_up = require("mts.giving_up")
local retention = require("mts.retention")

local M = {}

function M.run(context, request)
    retention.cut_expired(context, request[1])
    local states = {}
    for _, listed in ipairs(consumers.list(request[1])) do
        -- As it is now: what one gives up may release messages that others hold.
        states[#states + 1] = giving_up.state(context, consumers.find(request[1], listed.name))
    end
    return states
end

return M
