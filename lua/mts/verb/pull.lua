--- Hands messages out under a consumer's name: leases them (`explicit`), remembers that they were seen (`all`), or
-- settles them (`auto_ack`). Takes `{subject, consumer, limit, body_bytes_max, auto_ack, create}`; see `mts.delivery`
-- for the answer.

local acked = require("mts.acked")
local store = require("mts.store")
local errors = require("mts.errors")
local number = require("mts.number")
local consumers = require("mts.consumers")
local leases = require("mts.leases")
local delivery = require("mts.delivery")
local feed = require("mts.feed")
local giving_up = require("mts.giving_up")
local retention = require("mts.retention")

local M = {}

--- Applies a plan; answers what is settled by it, as `mts.acked` takes it.
local function apply_all(consumer, plan, auto_ack)
    local newest = plan.rows[#plan.rows]
    local last = newest and tonumber(newest[store.message.sequence]) or 0
    consumer.delivered_through = math.max(consumer.delivered_through, last)
    local before = consumer.acked_through
    if not auto_ack or last <= before then return {} end
    leases.note_acked(consumer, last)
    consumer.acked_through = last
    return { { before + 1, last } }
end

local function apply_explicit(consumer, plan, auto_ack, now_ms)
    local due_at = now_ms + consumer.ack_wait_ms
    local last, settled = nil, {}
    for place, row in ipairs(plan.rows) do
        local sequence = tonumber(row[store.message.sequence])
        if place <= plan.again then
            if auto_ack then
                leases.settle(consumer, sequence)
                settled[#settled + 1] = sequence
            else
                leases.postpone(consumer, sequence, plan.deliveries[place], due_at)
            end
        else
            last = sequence
            if auto_ack then
                leases.note_acked(consumer, sequence)
                settled[#settled + 1] = sequence
            else
                leases.lease(consumer, sequence, due_at)
            end
        end
    end
    if last then leases.advance(consumer, last) end
    return settled
end

--- Releases what is settled; answers the whole answer when something of it went, as its rows cannot be read again then.
local function release(context, consumer, settled, outcome, plan)
    if #settled == 0 or acked.policy(consumer.subject) == nil then return nil end
    local answer = delivery.answer(outcome, plan.deliveries, plan.rows)
    return acked.release(context, consumer.subject, settled) > 0 and answer or nil
end

function M.run(context, request)
    retention.cut_expired(context, request[1])
    local auto_ack, now_ms = request[5], context.now_ms
    local consumer = consumers.find(request[1], request[2])
    if consumer == nil then
        if not request[6] then errors.raise("consumer_not_found", "the consumer is not there (any more)") end
        consumer = consumers.make(request[1], request[2], consumers.defaults, now_ms)
    end
    consumers.sign(consumer, now_ms)
    local settled = giving_up.overdue(context, consumer)
    local bounds = {
        limit = number.uint(request[3], "limit"), body_bytes_max = number.uint(request[4], "body_bytes_max"),
    }
    local plan = delivery.plan(consumer, bounds, auto_ack, now_ms)
    local apply = consumer.ack == "all" and apply_all or apply_explicit
    for _, each in ipairs(apply(consumer, plan, auto_ack, now_ms)) do settled[#settled + 1] = each end
    consumers.save(consumer)
    -- An acknowledgement like any other: somebody may wait for it on another node.
    if auto_ack and #plan.rows > 0 then
        context.changes[#context.changes + 1] = { feed.consumer, request[1], request[2], false }
    end
    local outcome = delivery.outcome(consumer, plan, auto_ack, now_ms)
    return outcome, release(context, consumer, settled, outcome, plan)
end

--- The outcome that is remembered for a repeated call has no rows; they are read again.
M.render = delivery.render

return M
