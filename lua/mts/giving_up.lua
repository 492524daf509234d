--- Giving up messages whose deliveries are used up: they are settled, and where the consumer names a subject for dead
-- letters, they are committed there in the same transaction. What that subject has no room for is leased for as long
-- again, to nobody, and tried again then.

local acked = require("mts.acked")
local batch = require("mts.batch")
local capacity = require("mts.capacity")
local commit = require("mts.verb.commit")
local consumers = require("mts.consumers")
local dead_letters = require("mts.dead_letters")
local feed = require("mts.feed")
local leases = require("mts.leases")
local page = require("mts.page")
local store = require("mts.store")

local M = {}

--- Dead letters that one transaction commits for one consumer; the rest waits for the next.
local letters_max = 1000
--- Longest lease of a message that there is no room for.
local retry_ms_max = 30000

--- The row of a message that is not gone yet, or nil.
local function stored(subject, sequence, now_ms)
    if subject == nil or sequence < subject.first then return nil end
    local row = page.row(subject.id, sequence)
    local expires_at = row ~= nil and row[store.message.expires_at] or nil
    if expires_at ~= nil and expires_at <= now_ms then return nil end
    return row
end

--- Commits dead letters of what is still stored; answers, by sequence, what there was no room for.
local function write_letters(context, consumer, sequences)
    local subject = store.subject(consumer.subject)
    local letters, written, refused = {}, {}, {}
    for _, sequence in ipairs(sequences) do
        local row = stored(subject, sequence, context.now_ms)
        if row ~= nil then
            local deliveries, reason = leases.deliveries(consumer, sequence)
            letters[#letters + 1] = dead_letters.of(row, consumer, deliveries, reason)
            written[#letters] = sequence
        end
    end
    -- What must always work, an acknowledgement say, does not fail because there is no room for letters.
    local outcomes = {}
    local is_room = capacity.is_left()
    if is_room then outcomes = batch.commit(context, letters, 0) end
    for place, sequence in ipairs(written) do
        if not is_room or outcomes[place] == commit.subject_full then refused[sequence] = true end
    end
    return refused
end

--- Gives up leased or nacked messages; answers the sequences that are settled by it. The consumer is not saved.
function M.give_up(context, consumer, sequences)
    local settled = {}
    if #sequences == 0 then return settled end
    table.sort(sequences)
    local refused = consumer.dead_letter ~= nil and write_letters(context, consumer, sequences) or {}
    local retry_at = context.now_ms + math.min(consumer.ack_wait_ms, retry_ms_max)
    for _, sequence in ipairs(sequences) do
        if refused[sequence] then
            leases.postpone(consumer, sequence, leases.deliveries(consumer, sequence), retry_at)
        else
            leases.settle(consumer, sequence)
            settled[#settled + 1] = sequence
        end
    end
    return settled
end

--- Gives up what has used up its deliveries and whose lease has run out; answers the sequences that are settled by it.
-- The consumer is not saved.
function M.overdue(context, consumer)
    if consumer.max_deliver == 0 or consumer.held == 0 then return {} end
    local limit = consumer.dead_letter ~= nil and letters_max or math.huge
    return M.give_up(context, consumer, leases.overdue(consumer, limit, context.now_ms))
end

--- The state of a consumer (see `mts.consumers`) that has nothing overdue any more, for good.
function M.state(context, consumer)
    local settled = M.overdue(context, consumer)
    consumers.save(consumer)
    if acked.release(context, consumer.subject, settled) > 0 then
        consumer = consumers.find(consumer.subject, consumer.name)
    end
    return consumers.state(consumer, context.now_ms)
end

--- Gives up what is overdue of all consumers of a subject, saves them and tells of them.
function M.sweep(context, subject_name)
    for _, listed in ipairs(consumers.list(subject_name)) do
        local consumer = listed.held > 0 and consumers.find(subject_name, listed.name) or nil
        if consumer ~= nil and #M.overdue(context, consumer) > 0 then
            consumers.save(consumer)
            context.changes[#context.changes + 1] = { feed.consumer, subject_name, consumer.name, false }
        end
    end
end

return M
