--- Finding messages by their time: times never decrease within a subject, so bisection needs no index.

local M = {}

local function row_from(subject, sequence)
    local row = box.space.mts_messages.index.sequence
        :select({ subject.id, sequence }, { iterator = "GE", limit = 1 })[1]
    if row ~= nil and row[1] == subject.id then return row end
end

--- The first sequence from one on that is stored and not hidden; last + 1 when there is none.
local function stored_from(subject, sequence)
    while true do
        local row = row_from(subject, sequence)
        if row == nil then return subject.last + 1 end
        sequence = tonumber(row[2])
        if subject.hidden == nil or subject.hidden[sequence] == nil then return sequence end
        sequence = sequence + 1
    end
end

--- The first stored sequence with a timestamp at or after a time; last + 1 when there is none.
function M.sequence_at(subject, timestamp)
    local low, high = subject.first, subject.last + 1
    if subject.published_at < timestamp then return high end
    while low < high do
        local middle = low + math.floor((high - low) / 2)
        local row = row_from(subject, middle)
        if row == nil or row[3] >= timestamp then
            high = middle
        else
            low = tonumber(row[2]) + 1
        end
    end
    return stored_from(subject, low)
end

return M
