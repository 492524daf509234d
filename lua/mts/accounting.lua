--- Counts what objects hold and where, for messages that were stored before that was counted: once, before anything is
-- served, in slices that each are one transaction. What was committed into an object and is gone is not known any more;
-- what lies before its last message was there in any case.

local log = require("log")
local objects = require("mts.objects")
local page = require("mts.page")
local store = require("mts.store")

local M = {}

--- Rows of one transaction.
local slice_rows = 5000
--- Where to go on, in `mts_store`.
local mark = "accounting"

local field = objects.field

--- Calls `run(last key)` in transactions until it answers no key to go on after.
local function in_slices(key, run)
    while key ~= nil do
        box.begin()
        key = run(key)
        box.commit()
    end
end

local function reset()
    in_slices({ 0 }, function(key)
        local rows = box.space.mts_objects:select(key, { iterator = "GT", limit = slice_rows })
        for _, row in ipairs(rows) do
            store.replace("mts_objects", { row[field.id], row[field.name], row[field.messages], 0, 0, 0 })
        end
        if #rows < slice_rows then return nil end
        return { rows[#rows][field.id] }
    end)
    box.space.mts_spans:truncate()
end

--- Whether a message was published as a name only.
local function is_named_only(row)
    if row[store.message.length] == nil then return true end
    return box.space.mts_measured:get({ row[store.message.subject_id], row[store.message.sequence] }) ~= nil
end

local function note_span(id, span)
    if span ~= nil then objects.note_span(id, span.subject_id, span.first, span.last) end
end

--- Neighbours of one subject in one object are noted together.
local function grow_span(id, sum, subject_id, sequence)
    local span = sum.span
    if span ~= nil and span.subject_id == subject_id and sequence <= span.last + objects.gap_max then
        span.last = sequence
        return
    end
    note_span(id, span)
    sum.span = { subject_id = subject_id, first = sequence, last = sequence }
end

local function add(found, row)
    local id = tonumber(row[store.message.object_id])
    if id == store.no_object then return end
    local sum = found[id]
    if sum == nil then
        sum = { bytes = 0, through = 0, at = 0 }
        found[id] = sum
    end
    local bytes = page.stored_length_of(row)
    sum.bytes = sum.bytes + bytes
    sum.through = math.max(sum.through, tonumber(row[store.message.offset]) + bytes)
    sum.at = math.max(sum.at, tonumber(row[store.message.timestamp]))
    sum.is_unknown = sum.is_unknown or is_named_only(row)
    grow_span(id, sum, tonumber(row[store.message.subject_id]), tonumber(row[store.message.sequence]))
end

local function save(id, sum)
    note_span(id, sum.span)
    local object = box.space.mts_objects:get(id)
    if object == nil or object[field.alive] == nil then return end
    local committed, alive, at = box.NULL, box.NULL, box.NULL
    if not sum.is_unknown then
        alive = tonumber(object[field.alive]) + sum.bytes
        committed = math.max(tonumber(object[field.committed]), alive, sum.through)
        at = math.max(tonumber(object[field.committed_at]), sum.at)
    end
    store.update("mts_objects", id,
        { { "=", field.committed, committed }, { "=", field.alive, alive }, { "=", field.committed_at, at } })
end

local function count_slice(key)
    local rows = box.space.mts_messages:select(key, { iterator = "GT", limit = slice_rows })
    local found = {}
    for _, row in ipairs(rows) do add(found, row) end
    for id, sum in pairs(found) do save(id, sum) end
    if #rows < slice_rows then
        store.delete("mts_store", mark)
        return nil
    end
    local last = rows[#rows]
    local next_key = { last[store.message.subject_id], last[store.message.sequence] }
    store.replace("mts_store", { mark, next_key })
    return next_key
end

--- Counts everything, or goes on where the process died.
function M.run()
    local marked = box.space.mts_store:get(mark)
    local key = marked and marked[2]
    if key == nil then
        reset()
        key = { 0, 0 }
        store.replace("mts_store", { mark, key })
    end
    log.info("accounting: counting what %d objects hold", box.space.mts_objects:len())
    in_slices(key, count_slice)
end

return M
