--- Cutting off the beginning of a subject: it moves at once, the rows below it go later, piece by piece.

local store = require("mts.store")
local page = require("mts.page")
local consumers = require("mts.consumers")
local leases = require("mts.leases")
local feed = require("mts.feed")
local garbage = require("mts.garbage")

local M = {}

--- Bytes through a message, and lengths of what was measured later, both since the subject began.
function M.bytes_through(subject, last)
    if last >= subject.last then return subject.body_bytes, subject.late_bytes end
    local row = page.row(subject.id, last)
    local late = subject.late_purged
    for _, measured in box.space.mts_measured:pairs({ subject.id, subject.first }, { iterator = "GE" }) do
        if measured[1] ~= subject.id or measured[2] > last then break end
        late = late + tonumber(measured[3])
    end
    return row and tonumber(row[store.message.bytes_through]) or subject.purged_bytes, late
end

local function settle_deleted(name, through)
    for _, consumer in ipairs(consumers.list(name)) do
        if consumer.ack == "explicit" then
            leases.settle_through(consumer, through)
            consumers.save(consumer)
        end
    end
end

--- Deletes through a sequence (beyond the end: all); answers how many messages that were.
function M.cut(context, subject, through)
    local last = math.min(through, subject.last)
    if last < subject.first then return 0 end
    local purged, late_purged = M.bytes_through(subject, last)
    store.update("mts_subjects", subject.id, { { "=", 3, last + 1 }, { "=", 6, purged }, { "=", 8, late_purged } })
    garbage.note(subject.id, last)
    settle_deleted(subject.name, last)
    context.changes[#context.changes + 1] = { feed.purged, subject.name, last }
    return last - subject.first + 1
end

return M
