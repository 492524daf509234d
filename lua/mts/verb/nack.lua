--- Gives leased messages back, each request or nothing of it. Takes a list of `{subject, consumer, sequences,
-- delay_ms}`, answers an outcome each: `{0, redeliver}`, `{1}` no such consumer, `{2, last}` out of range, `{3}` wrong
-- mode.

local number = require("mts.number")
local consumers = require("mts.consumers")
local leases = require("mts.leases")
local settling = require("mts.settling")
local feed = require("mts.feed")
local retention = require("mts.retention")

local M = {}

local function give_back(context, request)
    local subject, name = request[1], request[2]
    retention.cut_expired(context, subject)
    local consumer, refusal, sequences = settling.target(subject, name, nil, request[3])
    if consumer == nil then return refusal end
    local due_at = context.now_ms + number.uint(request[4], "delay_ms")
    leases.settle_exhausted(consumer, context.now_ms)
    local redeliver, seen = 0, {}
    for _, sequence in ipairs(sequences) do
        local deliveries = not seen[sequence] and leases.deliveries(consumer, sequence) or nil
        seen[sequence] = true
        if deliveries ~= nil then
            if consumer.max_deliver > 0 and deliveries >= consumer.max_deliver then
                leases.settle(consumer, sequence)
            else
                leases.postpone(consumer, sequence, deliveries, due_at)
                redeliver = redeliver + 1
            end
        end
    end
    consumers.save(consumer)
    context.changes[#context.changes + 1] = { feed.consumer, subject, name, false }
    return { settling.done, redeliver }
end

function M.run(context, requests)
    local outcomes = {}
    for place, request in ipairs(requests) do outcomes[place] = give_back(context, request) end
    return outcomes
end

return M
