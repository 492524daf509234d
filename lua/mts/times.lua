--- Finding messages by their time: times never decrease within a subject, so bisection needs no index.

local M = {}

--- The first stored sequence with a timestamp at or after a time; last + 1 when there is none.
function M.sequence_at(subject, timestamp)
    local primary = box.space.mts_messages.index.sequence
    local low, high = subject.first, subject.last + 1
    if subject.published_at < timestamp then return high end
    while low < high do
        local middle = low + math.floor((high - low) / 2)
        local row = primary:select({ subject.id, middle }, { iterator = "GE", limit = 1 })[1]
        if row == nil or row[1] ~= subject.id or row[3] >= timestamp then
            high = middle
        else
            low = tonumber(row[2]) + 1
        end
    end
    return low
end

return M
