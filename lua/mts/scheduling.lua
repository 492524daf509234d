--- Entries of a commit that are for later: decided on with the others, kept aside when the objects are known.

local delayed = require("mts.delayed")
local objects = require("mts.objects")
local number = require("mts.number")
local wire = require("mts.wire")

local M = {}

--- First number of the outcome `{5, id, due at, duplicate}`.
M.scheduled = 5

local function outcome(waiting, is_duplicate)
    return { M.scheduled, ("%d"):format(waiting.id), waiting.due_at, is_duplicate }
end

--- When an entry is due; nil when it is to be committed now. `extra` is what the entry has beside the usual.
function M.due_at(extra, now_ms)
    local at = extra.deliver_at
    if extra.delay_ms ~= nil then at = now_ms + extra.delay_ms end
    if at == nil or at <= now_ms then return nil end
    return at
end

--- The outcome of an entry whose message id waits already, or nil.
function M.waiting(lane, message_id)
    local known = lane.waiting and lane.waiting[message_id]
    if known == nil and not delayed.is_empty() then
        local id, due_at = delayed.find(lane.name, message_id)
        known = id and { id = id, due_at = due_at }
    end
    return known and outcome(known, true)
end

--- Puts an entry on the list of those that are kept aside, counts it among the messages of its object, and answers its
-- outcome. The items of the entry come after `place` in `entries`.
function M.schedule(list, lane, tally, entries, place, extra, due_at)
    local headers, message_id = entries[place + 6], entries[place + 7]
    local waiting = {
        id = delayed.next_id(),
        subject = lane.name,
        due_at = due_at,
        object = entries[place + 2],
        offset = number.uint(entries[place + 3], "offset"),
        length = number.uint(entries[place + 4], "length"),
        sha256 = wire.digest(entries[place + 5]),
        stored_length = extra.stored_length,
        headers = headers ~= nil and headers or nil,
        message_id = message_id ~= nil and message_id or nil,
        ttl_ms = extra.ttl_ms,
    }
    if waiting.message_id ~= nil then
        lane.waiting = lane.waiting or {}
        lane.waiting[message_id] = waiting
    end
    local bytes = waiting.stored_length or waiting.length
    objects.add(tally, waiting.object, 0, nil, bytes, bytes)
    list[#list + 1] = waiting
    return outcome(waiting, false)
end

--- Keeps the list aside.
function M.save(list, object_ids)
    for _, waiting in ipairs(list) do
        waiting.object_id = object_ids[waiting.object]
        delayed.insert(waiting)
    end
end

return M
