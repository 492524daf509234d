--- Completes messages of which only the object's name was known. Takes a list of `{subject, sequence, length, sha256}`,
-- answers how many were completed; those that are complete or gone are passed over.

local store = require("mts.store")
local page = require("mts.page")
local number = require("mts.number")
local wire = require("mts.wire")

local M = {}

local function complete(name, sequence, length, digest)
    local field = store.message
    local subject = store.subject(name)
    if subject == nil or sequence < subject.first then return 0 end
    local row = page.row(subject.id, sequence)
    if row == nil or row[field.length] ~= nil then return 0 end
    store.replace_message(subject.id, sequence, tonumber(row[field.timestamp]), tonumber(row[field.object_id]),
        tonumber(row[field.bytes_through]), tonumber(row[field.offset]), length, digest,
        store.flat_headers(row[field.headers]), store.optional(row[field.expires_at]),
        store.optional(row[field.stored_length]))
    store.insert("mts_measured", { subject.id, sequence, length })
    store.update("mts_subjects", subject.id, { { "+", 7, length } })
    return 1
end

function M.run(_, requests)
    local completed = 0
    for _, request in ipairs(requests) do
        local sequence, length = number.uint(request[2], "sequence"), number.uint(request[3], "length")
        completed = completed + complete(request[1], sequence, length, wire.digest(request[4]))
    end
    return completed
end

return M
