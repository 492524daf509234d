--- Makes a consumer, or compares it with the one that is there. Takes `{subject, name, start_kind, start_value, ack,
-- ack_wait_ms, max_deliver, max_ack_pending, dead_letter or null}`, answers `{status, state}`: created, same or
-- differs.

local consumers = require("mts.consumers")
local giving_up = require("mts.giving_up")
local number = require("mts.number")
local retention = require("mts.retention")

local M = {}

function M.run(context, request)
    retention.cut_expired(context, request[1])
    local config = {
        start_kind = request[3],
        start_value = number.uint(request[4], "start_value"),
        ack = request[5],
        ack_wait_ms = number.uint(request[6], "ack_wait_ms"),
        max_deliver = number.uint(request[7], "max_deliver"),
        max_ack_pending = number.uint(request[8], "max_ack_pending"),
        dead_letter = request[9] ~= nil and request[9] or nil,
    }
    local found = consumers.find(request[1], request[2])
    local consumer = found or consumers.make(request[1], request[2], config, context.now_ms)
    local status = "created"
    if found then status = consumers.is_configured(found, config) and "same" or "differs" end
    return { status, giving_up.state(context, consumer) }
end

return M
