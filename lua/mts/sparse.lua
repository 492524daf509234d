--- Objects that take more room than what is left in them is worth, and small ones that are worth joining.

local delayed = require("mts.delayed")
local objects = require("mts.objects")
local page = require("mts.page")
local store = require("mts.store")
local wire = require("mts.wire")

local M = {}

local field, message = objects.field, store.message

--- Bodies in one tuple of an answer.
local chunk_bodies = 1000

--- Whether nobody has the object, nothing was committed into it lately, and all that is in it may be moved.
local function is_free(row, wanted, now_ms)
    -- What has no count of bytes has a body that is known by name only.
    if row[field.alive] == nil then return false end
    if row[field.committed_at] > now_ms - wanted.min_age_ms then return false end
    return row[field.leased_until] == nil or row[field.leased_until] <= now_ms
end

local function is_sparse(row, wanted)
    local committed = tonumber(row[field.committed])
    local alive = tonumber(row[field.alive])
    return alive < committed and alive <= wanted.alive_share_max * committed
end

local function is_tiny(row, wanted)
    return row[field.committed] > 0 and row[field.committed] < wanted.tiny_bytes
end

--- Whether an object is one to be handed out: `sparse`, `tiny`, or nil.
function M.kind_of(row, wanted, now_ms)
    if not is_free(row, wanted, now_ms) then return nil end
    local kind = is_sparse(row, wanted) and "sparse" or is_tiny(row, wanted) and "tiny" or nil
    if kind ~= nil and delayed.refers_to(tonumber(row[field.id])) then return nil end
    return kind
end

--- What messages point into an object: its ranges once each, in the order of the offsets, and their bytes.
function M.bodies(object_id)
    local seen, rows, bytes = {}, {}, 0
    objects.each_message(object_id, function(row)
        local offset = tonumber(row[message.offset])
        if not seen[offset] then
            seen[offset] = true
            rows[#rows + 1] = row
            bytes = bytes + page.stored_length_of(row)
        end
    end)
    table.sort(rows, function(a, b) return a[message.offset] < b[message.offset] end)
    return rows, bytes
end

--- Bodies as tuples `{offset, length, stored length or null, SHA-256, offset …}`.
function M.pack(rows)
    local chunks = {}
    for first = 1, #rows, chunk_bodies do
        local last = math.min(first + chunk_bodies - 1, #rows)
        wire.reset()
        wire.array(4 * (last - first + 1))
        for place = first, last do
            local row = rows[place]
            local stored = store.optional(row[message.stored_length])
            wire.uint(tonumber(row[message.offset]))
            wire.uint(page.length_of(row))
            if stored == nil then wire.null() else wire.uint(stored) end
            wire.binary(row[message.sha256])
        end
        chunks[#chunks + 1] = wire.tuple(wire.built())
    end
    return chunks
end

return M
