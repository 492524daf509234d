--- Hands messages out under a consumer's name: leases them (`explicit`), remembers that they were seen (`all`), or
-- settles them (`auto_ack`). Takes `{subject, consumer, limit, body_bytes_max, auto_ack, create}`; see `mts.delivery`
-- for the answer.

local store = require("mts.store")
local errors = require("mts.errors")
local number = require("mts.number")
local consumers = require("mts.consumers")
local leases = require("mts.leases")
local delivery = require("mts.delivery")
local retention = require("mts.retention")

local M = {}

local function apply_all(consumer, plan, auto_ack)
    local newest = plan.rows[#plan.rows]
    local last = newest and tonumber(newest[store.message.sequence]) or 0
    consumer.delivered_through = math.max(consumer.delivered_through, last)
    if auto_ack then consumer.acked_through = math.max(consumer.acked_through, last) end
end

local function apply_explicit(consumer, plan, auto_ack, now_ms)
    local due_at = now_ms + consumer.ack_wait_ms
    local last
    for place, row in ipairs(plan.rows) do
        local sequence = tonumber(row[store.message.sequence])
        if place <= plan.again then
            if auto_ack then
                leases.settle(consumer, sequence)
            else
                leases.postpone(consumer, sequence, plan.deliveries[place], due_at)
            end
        else
            last = sequence
            if not auto_ack then leases.lease(consumer, sequence, due_at) end
        end
    end
    if last then leases.advance(consumer, last) end
end

function M.run(context, request)
    retention.cut_expired(context, request[1])
    local auto_ack, now_ms = request[5], context.now_ms
    local consumer = consumers.find(request[1], request[2])
    if consumer == nil then
        if not request[6] then errors.raise("consumer_not_found", "the consumer is not there (any more)") end
        consumer = consumers.make(request[1], request[2], consumers.defaults, now_ms)
    end
    leases.settle_exhausted(consumer, now_ms)
    local bounds = {
        limit = number.uint(request[3], "limit"), body_bytes_max = number.uint(request[4], "body_bytes_max"),
    }
    local plan = delivery.plan(consumer, bounds, auto_ack, now_ms)
    if consumer.ack == "all" then
        apply_all(consumer, plan, auto_ack)
    else
        apply_explicit(consumer, plan, auto_ack, now_ms)
    end
    consumers.save(consumer)
    return delivery.outcome(consumer, plan, auto_ack, now_ms)
end

--- The outcome that is remembered for a repeated call has no rows; they are read again.
M.render = delivery.render

return M
