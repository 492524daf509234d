--- How the recipients stand to one message. Takes `{subject, sequence}`, answers `{released, recipients_total, acked,
-- {name, status, name, status …}}`, or null beyond the last sequence and where nobody ever published. A status is
-- `acked`, `pending`, `absent`, `timed_out` or `exempt`.

local acked = require("mts.acked")
local clock = require("mts.clock")
local number = require("mts.number")
local page = require("mts.page")
local retention = require("mts.retention")
local store = require("mts.store")

local M = {}

--- Time of a message that is stored and shown; nil when it is released.
local function time_of(subject, sequence)
    if sequence < subject.first or subject.hidden and subject.hidden[sequence] then return nil end
    local row = page.row(subject.id, sequence)
    return row and tonumber(row[store.message.timestamp])
end

function M.run(request)
    local now_ms, sequence = clock.now_ms(), number.uint(request[2], "sequence")
    local subject = retention.subject(request[1], now_ms)
    if subject == nil or sequence > subject.last or sequence == 0 then return box.NULL end
    local timestamp = time_of(subject, sequence)
    local total, acknowledged, recipients = acked.standing(subject, sequence, timestamp, now_ms)
    return { timestamp == nil, total, acknowledged, recipients }
end

return M
