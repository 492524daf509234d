--- Deletes through a sequence (beyond the end: all): the subject's beginning moves at once, the rows go later, piece by
-- piece. Takes `{subject, through}`, answers how many messages were deleted.

local store = require("mts.store")
local page = require("mts.page")
local number = require("mts.number")
local consumers = require("mts.consumers")
local leases = require("mts.leases")
local feed = require("mts.feed")
local garbage = require("mts.garbage")

local M = {}

--- Bytes through a message, and lengths of what was measured later, both since the subject began.
local function bytes_through(subject, last)
    if last == subject.last then return subject.body_bytes, subject.late_bytes end
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

function M.run(context, request)
    local name = request[1]
    local subject = store.subject(name)
    if subject == nil then return 0 end
    local last = math.min(number.uint(request[2], "through"), subject.last)
    if last < subject.first then return 0 end
    local purged, late_purged = bytes_through(subject, last)
    store.update("mts_subjects", subject.id, { { "=", 3, last + 1 }, { "=", 6, purged }, { "=", 8, late_purged } })
    garbage.note(subject.id, last)
    settle_deleted(name, last)
    context.changes[#context.changes + 1] = { feed.purged, name, last }
    return last - subject.first + 1
end

return M
