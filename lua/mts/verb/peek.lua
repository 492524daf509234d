--- What a pull would show; nothing changes. Takes `{subject, consumer, limit, body_bytes_max}`; see `mts.delivery` for
-- the answer.

local clock = require("mts.clock")
local number = require("mts.number")
local consumers = require("mts.consumers")
local delivery = require("mts.delivery")

local M = {}

function M.run(request)
    local now_ms = clock.now_ms()
    local consumer = consumers.find(request[1], request[2]) or consumers.unmade(request[1], request[2])
    local bounds = {
        limit = number.uint(request[3], "limit"), body_bytes_max = number.uint(request[4], "body_bytes_max"),
    }
    local plan = delivery.plan(consumer, bounds, false, now_ms)
    return delivery.render(delivery.outcome(consumer, plan, false, now_ms))
end

return M
