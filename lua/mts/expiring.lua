--- Messages with a time to live of their own, in the order in which they go.

local store = require("mts.store")

local M = {}

--- Notes when a message is gone.
function M.note(subject_id, expires_at, sequence)
    store.insert("mts_expiring", { subject_id, expires_at, sequence })
end

--- Forgets a message that is removed; one that lives for ever, too, whose time is nil.
function M.forget(subject_id, expires_at, sequence)
    if expires_at ~= nil then store.delete_expiring(subject_id, expires_at, sequence) end
end

--- Whether any message at all has a time to live.
function M.is_empty()
    local space = box.space.mts_expiring
    -- A replica that is newer than the instance that writes.
    return space == nil or space:len() == 0
end

--- Sequences of a subject whose time is over and that were not removed yet, ascending, and the times by them; nil when
-- there are none. No more than `limit`, those that were over first.
function M.due(subject, now_ms, limit)
    if M.is_empty() then return nil end
    local sequences, times
    for _, row in box.space.mts_expiring:pairs({ subject.id }, { iterator = "EQ" }) do
        if row[2] > now_ms or sequences ~= nil and #sequences >= limit then break end
        local sequence = tonumber(row[3])
        -- What is below the beginning waits for its removal already.
        if sequence >= subject.first then
            if sequences == nil then sequences, times = {}, {} end
            sequences[#sequences + 1], times[sequence] = sequence, tonumber(row[2])
        end
    end
    if sequences ~= nil then table.sort(sequences) end
    return sequences, times
end

--- Forgets messages of `due` that are removed.
function M.forget_due(subject, sequences, times, count)
    for place = 1, count do
        store.delete_expiring(subject.id, times[sequences[place]], sequences[place])
    end
end

return M
