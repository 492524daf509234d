--- What is gone between the first and the last message of a subject, as ranges of sequences that neither overlap nor
-- touch. None of them begins at the subject's first sequence: what goes there moves the beginning. A range knows how
-- many bytes of bodies went with it and the running sum at its end, so that a prefix over it is still one look-up.

local store = require("mts.store")

local M = {}

local first_field, last_field, bytes_field, through_field = 2, 3, 4, 5

--- Whether no subject has any.
function M.is_empty()
    local space = box.space.mts_gone
    -- A replica that is newer than the instance that writes.
    return space == nil or space:len() == 0
end

--- The range that a sequence is in, as `{first, last, bytes, bytes_through}`; or nil.
function M.at(subject_id, sequence)
    if M.is_empty() then return nil end
    local row = box.space.mts_gone.index.first:select({ subject_id, sequence }, { iterator = "LE", limit = 1 })[1]
    if row == nil or row[1] ~= subject_id or row[last_field] < sequence then return nil end
    return {
        first = tonumber(row[first_field]), last = tonumber(row[last_field]), bytes = tonumber(row[bytes_field]),
        bytes_through = tonumber(row[through_field]),
    }
end

--- The last sequence up to which everything right behind a sequence is gone; the sequence itself when nothing is.
function M.hop(subject_id, sequence)
    local range = M.at(subject_id, sequence + 1)
    return range and range.last or sequence
end

--- Calls `visit(first, last, bytes, bytes_through)` for each range of a subject in ascending order, until it answers
-- false.
function M.each(subject_id, visit)
    if M.is_empty() then return end
    for _, row in box.space.mts_gone:pairs({ subject_id }, { iterator = "EQ" }) do
        local go_on = visit(tonumber(row[first_field]), tonumber(row[last_field]), tonumber(row[bytes_field]),
            tonumber(row[through_field]))
        if go_on == false then return end
    end
end

local function delete(subject_id, first)
    store.delete("mts_gone", { subject_id, first })
end

--- Adds a run of sequences that has just gone, which touches no beginning; joins it with the ranges beside it.
function M.add(subject_id, first, last, bytes, bytes_through)
    local before, after = M.at(subject_id, first - 1), M.at(subject_id, last + 1)
    if before ~= nil then
        delete(subject_id, before.first)
        first, bytes = before.first, bytes + before.bytes
    end
    if after ~= nil then
        delete(subject_id, after.first)
        last, bytes, bytes_through = after.last, bytes + after.bytes, after.bytes_through
    end
    store.insert("mts_gone", { subject_id, first, last, bytes, bytes_through })
end

--- Forgets the ranges up to a sequence that ends, or is in, none of them; answers how many messages and bytes they had.
function M.forget_through(subject_id, through)
    local messages, bytes, firsts = 0, 0, {}
    M.each(subject_id, function(first, last, range_bytes)
        if first > through then return false end
        messages, bytes = messages + last - first + 1, bytes + range_bytes
        firsts[#firsts + 1] = first
        return true
    end)
    for _, first in ipairs(firsts) do delete(subject_id, first) end
    return messages, bytes
end

--- How many messages up to a sequence are gone from the middle.
function M.count_through(subject, through)
    local messages = 0
    M.each(subject.id, function(first, last)
        if first > through then return false end
        messages = messages + math.min(last, through) - first + 1
        return true
    end)
    return messages
end

local function messages_behind(subject, after)
    local messages = 0
    local by_first = box.space.mts_gone.index.first
    for _, row in by_first:pairs({ subject.id, subject.last }, { iterator = "LE" }) do
        if row[1] ~= subject.id or row[last_field] <= after then break end
        messages = messages + tonumber(row[last_field]) - math.max(tonumber(row[first_field]), after + 1) + 1
    end
    return messages
end

--- How many messages behind a sequence are gone from the middle, or hidden.
function M.count_after(subject, sequence)
    if subject.gone_messages == 0 then return 0 end
    if sequence < subject.first then return subject.gone_messages end
    -- What is shown otherwise than it is stored has its ranges from below its beginning still.
    if subject.is_cut or subject.hidden ~= nil then
        local messages = messages_behind(subject, sequence)
        for hidden in pairs(subject.hidden or {}) do
            if hidden > sequence then messages = messages + 1 end
        end
        return messages
    end
    -- From the nearer end.
    if sequence - subject.first < subject.last - sequence then
        return subject.gone_messages - M.count_through(subject, sequence)
    end
    return messages_behind(subject, sequence)
end

--- How many messages behind a sequence are stored and shown.
function M.stored_after(subject, sequence)
    if subject == nil then return 0 end
    local after = math.max(sequence, subject.first - 1)
    return math.max(0, subject.last - after - M.count_after(subject, after))
end

return M
