--- Commits dead letters of a consumer to its own subject again, the oldest first, and removes them from where they are.
-- Takes `{subject, consumer, from, limit}`; looks at no more than 1,000 messages. Answers `{how many, sequence to go on
-- from or null}`. What the subject has no room for stays where it is.

local batch = require("mts.batch")
local consumers = require("mts.consumers")
local cutting = require("mts.cutting")
local dead_letters = require("mts.dead_letters")
local errors = require("mts.errors")
local number = require("mts.number")
local retention = require("mts.retention")
local store = require("mts.store")

local M = {}

--- Messages of the subject of dead letters that one call looks at.
local looked_at_max = 1000

--- The letters of a consumer that are sent back, with their sequences; and the last sequence that was looked at.
local function choose(consumer, letters, from, limit)
    local messages, sequences, looked_through = {}, {}, nil
    local rows = box.space.mts_messages:select({ letters.id, math.max(from, letters.first) },
        { iterator = "GE", limit = looked_at_max })
    for _, row in ipairs(rows) do
        if row[store.message.subject_id] ~= letters.id or #messages >= limit then break end
        looked_through = tonumber(row[store.message.sequence])
        local message = dead_letters.original(row, consumer)
        if message ~= nil then
            messages[#messages + 1] = message
            sequences[#messages] = looked_through
        end
    end
    return messages, sequences, looked_through
end

function M.run(context, request)
    local from, limit = number.uint(request[3], "from"), number.uint(request[4], "limit")
    local consumer = consumers.find(request[1], request[2])
    if consumer == nil then errors.raise("consumer_not_found", "the consumer is not there (any more)") end
    local dead_letter = consumer.dead_letter
    if dead_letter == nil then errors.raise("no_dead_letters", "the consumer names no subject for dead letters") end
    retention.cut_expired(context, dead_letter)
    local letters = store.subject(dead_letter)
    if letters == nil then return { 0, box.NULL } end
    local messages, sequences, looked_through = choose(consumer, letters, from, limit)
    local refused = batch.commit(context, messages, 0)
    local sent = {}
    for place, sequence in ipairs(sequences) do
        if refused[place] == nil then sent[#sent + 1] = sequence end
    end
    -- Now, as the bodies are the new messages' too.
    if #sent > 0 then cutting.remove(context, store.subject(dead_letter), sent) end
    local is_end = looked_through == nil or looked_through >= letters.last
    return { #sent, is_end and box.NULL or looked_through + 1 }
end

return M
