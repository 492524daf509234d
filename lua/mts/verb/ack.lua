--- Applies acknowledgements in order, each or nothing of it. Takes a list of `{subject, consumer, through or null,
-- sequences or null}`, answers an outcome each: `{0, acked_through, moved}`, `{1}` no such consumer, `{2, last}` out of
-- range, `{3}` wrong mode.

local acked = require("mts.acked")
local consumers = require("mts.consumers")
local leases = require("mts.leases")
local settling = require("mts.settling")
local feed = require("mts.feed")
local giving_up = require("mts.giving_up")
local retention = require("mts.retention")

local M = {}

--- Whether anything was unsettled, and what is settled now, as `mts.acked` takes it.
local function acknowledge_all(consumer, through)
    local before = consumer.acked_through
    if through <= before then return false, {} end
    leases.note_acked(consumer, through)
    consumer.acked_through = through
    consumer.delivered_through = math.max(consumer.delivered_through, through)
    return true, { { before + 1, through } }
end

local function acknowledge_explicit(context, consumer, through, sequences)
    local settled = giving_up.overdue(context, consumer)
    local moved = false
    for _, sequence in ipairs(sequences) do
        if leases.settle(consumer, sequence) then
            moved = true
            settled[#settled + 1] = sequence
        end
    end
    if through > 0 then
        settled[#settled + 1] = { leases.lowest_pending(consumer), through }
        leases.note_acked(consumer, through)
    end
    return leases.settle_through(consumer, through) or moved, settled
end

--- Applies one acknowledgement.
function M.apply(context, subject, name, through, sequences)
    retention.cut_expired(context, subject)
    local consumer, refusal_or_through, checked = settling.target(subject, name, through, sequences)
    if consumer == nil then return refusal_or_through end
    through, sequences = refusal_or_through, checked
    local moved, settled, acked_through
    consumers.sign(consumer, context.now_ms)
    if consumer.ack == "all" then
        moved, settled = acknowledge_all(consumer, through)
        acked_through = consumer.acked_through
    else
        moved, settled = acknowledge_explicit(context, consumer, through, sequences)
        acked_through = leases.acked_through(consumer, context.now_ms)
    end
    consumers.save(consumer)
    acked.release(context, subject, settled)
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
