--- Pages of messages: bounds, and rows with the names of their objects.

local store = require("mts.store")

local M = {}
local field = store.message

--- Counts a page up to its bounds. The first message always fits; after one that does not, none does.
function M.meter(limit, body_bytes_max)
    local messages, body_bytes = 0, 0
    return {
        --- How many messages may still come.
        room = function() return math.max(0, limit - messages) end,
        --- Whether a body of this length goes into the page; if so it is counted.
        takes = function(length)
            if messages >= limit then return false end
            if messages > 0 and body_bytes + length > body_bytes_max then
                messages = limit
                return false
            end
            messages = messages + 1
            body_bytes = body_bytes + length
            return true
        end,
    }
end

--- Length of a message's body; 0 while it is unknown.
function M.length_of(row)
    local length = row[field.length]
    return length == nil and 0 or tonumber(length)
end

--- Bytes that a message's body takes in its object; 0 while that is unknown.
function M.stored_length_of(row)
    local stored = field.stored_length and row[field.stored_length]
    if stored ~= nil then return tonumber(stored) end
    return M.length_of(row)
end

-- Rows are looked at this many at a time, so that a generous limit costs nothing when bytes end the page.
local slice_rows = 1000

--- `skips` and what is hidden; nil when neither leaves anything out.
local function without(hidden, skips)
    if hidden == nil then return skips end
    return function(sequence) return hidden[sequence] ~= nil or skips ~= nil and skips(sequence) end
end

--- Appends stored rows of a subject from a sequence on, as far as the meter goes, to `rows`; at most `messages_max`.
-- `skips(sequence)` leaves messages out; so does `subject.hidden`.
function M.collect(rows, subject, from, meter, messages_max, skips)
    skips = without(subject.hidden, skips)
    local primary = box.space.mts_messages.index.sequence
    local sequence = math.max(from, subject.first)
    local left = math.min(meter.room(), messages_max)
    while left > 0 and sequence <= subject.last do
        local slice_size = math.min(skips == nil and left or slice_rows, slice_rows)
        local slice = primary:select({ subject.id, sequence }, { iterator = "GE", limit = slice_size })
        for _, row in ipairs(slice) do
            if row[field.subject_id] ~= subject.id then return rows end
            sequence = tonumber(row[field.sequence])
            if skips == nil or not skips(sequence) then
                if left == 0 or not meter.takes(M.length_of(row)) then return rows end
                rows[#rows + 1] = row
                left = left - 1
            end
        end
        if #slice < slice_size then return rows end
        sequence = sequence + 1
    end
    return rows
end

--- The row of one message, or nil.
function M.row(subject_id, sequence)
    return box.space.mts_messages.index.sequence:get({ subject_id, sequence })
end

--- The objects that rows point into, as `{id, name, id, name …}`.
function M.objects(rows)
    local names, seen = {}, {}
    for _, row in ipairs(rows) do
        local id = tonumber(row[field.object_id])
        if id ~= store.no_object and not seen[id] then
            seen[id] = true
            names[#names + 1] = id
            names[#names + 1] = store.object_name(id)
        end
    end
    return names
end

return M
