--- Gives leased messages back, each request or nothing of it. Takes a list of `{subject, consumer, sequences,
-- delay_ms, error or null}`, answers an outcome each: `{0, redeliver}`, `{1}` no such consumer, `{2, last}` out of
-- range, `{3}` wrong mode.

local number = require("mts.number")
local acked = require("mts.acked")
local consumers = require("mts.consumers")
local leases = require("mts.leases")
local settling = require("mts.settling")
local feed = require("mts.feed")
local giving_up = require("mts.giving_up")
local retention = require("mts.retention")

local M = {}

local function give_back(context, request)
    local subject, name = request[1], request[2]
    retention.cut_expired(context, subject)
    local consumer, refusal, sequences = settling.target(subject, name, nil, request[3])
    if consumer == nil then return refusal end
    local due_at = context.now_ms + number.uint(request[4], "delay_ms")
    local reason = request[5] ~= nil and request[5] or nil
    consumers.sign(consumer, context.now_ms)
    local settled = giving_up.overdue(context, consumer)
    local redeliver, seen, used_up = 0, {}, {}
    for _, sequence in ipairs(sequences) do
        local deliveries = not seen[sequence] and leases.deliveries(consumer, sequence) or nil
        seen[sequence] = true
        if deliveries ~= nil then
            leases.postpone(consumer, sequence, deliveries, due_at, reason)
            if consumer.max_deliver > 0 and deliveries >= consumer.max_deliver then
                used_up[#used_up + 1] = sequence
            else
                redeliver = redeliver + 1
            end
        end
    end
    for _, sequence in ipairs(giving_up.give_up(context, consumer, used_up)) do settled[#settled + 1] = sequence end
    consumers.save(consumer)
    acked.release(context, subject, settled)
    context.changes[#context.changes + 1] = { feed.consumer, subject, name, false }
    return { settling.done, redeliver }
end

function M.run(context, requests)
    local outcomes = {}
    for place, request in ipairs(requests) do outcomes[place] = give_back(context, request) end
    return outcomes
end

return M
