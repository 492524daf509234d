--- Delayed messages: kept aside with their message ids until they are due. Each counts as a message of its object. The
-- only file that knows the fields of `mts_delayed`; `tried_at` is 0 until the message was due and its subject had no
-- room for it, and then when that was last so.

local objects = require("mts.objects")
local store = require("mts.store")
local wire = require("mts.wire")

local M = {}

local field = {
    id = 1, subject = 2, tried_at = 3, due_at = 4, object_id = 5, offset = 6, length = 7, sha256 = 8,
    stored_length = 9, headers = 10, message_id = 11, ttl_ms = 12,
}
local fields = 12

--- Pause before a message is tried again that its subject had no room for.
local retry_ms = 1000

--- Whether nothing waits.
function M.is_empty()
    return box.space.mts_delayed:len() == 0
end

--- Id and time of what waits under a message id; nil when nothing does.
function M.find(subject, message_id)
    local row = box.space.mts_delayed.index.message:select({ subject, message_id }, { limit = 1 })[1]
    if row == nil then return nil end
    return tonumber(row[field.id]), tonumber(row[field.due_at])
end

--- The id that the next message gets; none is given twice.
function M.next_id()
    local newest = box.space.mts_store:get("delayed")
    local id = newest == nil and 1 or tonumber(newest[2]) + 1
    store.replace("mts_store", { "delayed", id })
    return id
end

local function pack(write, value)
    if value == nil then wire.null() else write(value) end
end

--- Keeps a message aside: its fields by name, `headers` flat or nil, `stored_length`, `message_id` and `ttl_ms` may be
-- nil.
function M.insert(message)
    store.changed = true
    wire.reset()
    wire.array(fields)
    wire.uint(message.id)
    wire.text(message.subject)
    wire.uint(0)
    wire.uint(message.due_at)
    wire.uint(message.object_id)
    wire.uint(message.offset)
    wire.uint(message.length)
    wire.binary(message.sha256)
    pack(wire.uint, message.stored_length)
    pack(wire.flat_map, message.headers)
    pack(wire.text, message.message_id)
    pack(wire.uint, message.ttl_ms)
    wire.insert(box.space.mts_delayed.id)
end

local function message_of(row)
    return {
        id = tonumber(row[field.id]),
        subject = row[field.subject],
        due_at = tonumber(row[field.due_at]),
        object_id = tonumber(row[field.object_id]),
        offset = tonumber(row[field.offset]),
        length = tonumber(row[field.length]),
        sha256 = row[field.sha256],
        stored_length = store.optional(row[field.stored_length]),
        headers = store.flat_headers(row[field.headers]),
        message_id = row[field.message_id] ~= nil and row[field.message_id] or nil,
        ttl_ms = store.optional(row[field.ttl_ms]),
    }
end

--- Appends what is due for the first time, the earliest first, until there are `limit`.
local function append_new(messages, limit, now_ms)
    for _, row in box.space.mts_delayed.index.due:pairs({ 0 }, { iterator = "EQ" }) do
        if #messages >= limit or row[field.due_at] > now_ms then return end
        messages[#messages + 1] = message_of(row)
    end
end

--- Appends what was tried before, what waits longest for another try first, until there are `limit`.
local function append_tried(messages, limit)
    for _, row in box.space.mts_delayed.index.due:pairs({ 1 }, { iterator = "GE" }) do
        if #messages >= limit then return end
        messages[#messages + 1] = message_of(row)
    end
end

--- What is due, at most so many, the earliest first. What had no room takes no more than half of the places from what
-- comes for the first time.
function M.due(limit, now_ms)
    local messages = {}
    append_tried(messages, math.floor(limit / 2))
    local tried = #messages
    append_new(messages, limit, now_ms)
    if #messages == tried then
        messages = {}
        append_tried(messages, limit)
    end
    table.sort(messages, function(a, b)
        if a.due_at ~= b.due_at then return a.due_at < b.due_at end
        return a.id < b.id
    end)
    return messages
end

--- What waits, due or not, by number, behind one of them.
function M.waiting(after, limit)
    local messages = {}
    for place, row in ipairs(box.space.mts_delayed:select({ after }, { iterator = "GT", limit = limit })) do
        messages[place] = message_of(row)
    end
    return messages
end

--- Leaves a message for which there is no room to another try.
function M.put_off(message, now_ms)
    store.update("mts_delayed", message.id, { { "=", field.tried_at, now_ms } })
end

--- Forgets a message that is committed; the object counts it no more.
function M.remove(message, now_ms)
    store.delete("mts_delayed", message.id)
    if message.object_id ~= store.no_object then
        objects.release(message.object_id, 1, message.stored_length or message.length, now_ms)
    end
end

--- Milliseconds until more is due; nil when nothing waits.
function M.next_in_ms(now_ms)
    local due = box.space.mts_delayed.index.due
    local at
    local new = due:min({ 0 })
    if new ~= nil then at = tonumber(new[field.due_at]) end
    local tried = due:select({ 1 }, { iterator = "GE", limit = 1 })[1]
    if tried ~= nil then at = math.min(at or math.huge, tonumber(tried[field.tried_at]) + retry_ms) end
    return at and math.max(0, at - now_ms)
end

--- Whether a delayed message points into an object.
function M.refers_to(object_id)
    return box.space.mts_delayed.index.object:min({ object_id }) ~= nil
end

return M
