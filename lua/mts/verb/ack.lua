--- Applies acknowledgements in order, each or nothing of it. Takes a list of `{subject, consumer, through or null,
-- sequences or null}`, answers an outcome each: `{0, acked_through, moved}`, `{1}` no such consumer, `{2, last}` out of
-- range, `{3}` wrong mode.

local consumers = require("mts.consumers")
local leases = require("mts.leases")
local settling = require("mts.settling")
local feed = require("mts.feed")
local retention = require("mts.retention")

local M = {}

local function acknowledge_all(consumer, through)
    if through <= consumer.acked_through then return false end
    consumer.acked_through = through
    consumer.delivered_through = math.max(consumer.delivered_through, through)
    return true
end

local function acknowledge_explicit(consumer, through, sequences, now_ms)
    leases.settle_exhausted(consumer, now_ms)
    local moved = false
    for _, sequence in ipairs(sequences) do
        if leases.settle(consumer, sequence) then moved = true end
    end
    return leases.settle_through(consumer, through) or moved
end

--- Applies one acknowledgement.
function M.apply(context, subject, name, through, sequences)
    retention.cut_expired(context, subject)
    local consumer, refusal_or_through, checked = settling.target(subject, name, through, sequences)
    if consumer == nil then return refusal_or_through end
    through, sequences = refusal_or_through, checked
    local moved, acked_through
    if consumer.ack == "all" then
        moved = acknowledge_all(consumer, through)
        acked_through = consumer.acked_through
    else
        moved = acknowledge_explicit(consumer, through, sequences, context.now_ms)
        acked_through = leases.acked_through(consumer, context.now_ms)
    end
    consumers.save(consumer)
    if moved then context.changes[#context.changes + 1] = { feed.consumer, subject, name, false } end
    return { settling.done, acked_through, moved }
end

function M.run(context, requests)
    local outcomes = {}
    for place, request in ipairs(requests) do
        outcomes[place] = M.apply(context, request[1], request[2], request[3], request[4])
    end
    return outcomes
end

return M
