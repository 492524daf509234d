--- Lets messages point at another place with the same bytes. Takes `{objects, moves, linger_ms}`; six items a move:
-- place of the object it is from, offset there, place of the object it is to, offset there, stored length there or
-- null, bytes that it takes there. Answers how many messages were moved.

local dead = require("mts.dead")
local errors = require("mts.errors")
local number = require("mts.number")
local objects = require("mts.objects")
local page = require("mts.page")
local store = require("mts.store")

local M = {}

local items_per_move = 6
local moves_max = 10000
local message = store.message

--- The moves by the place of their source and the offset there, and the places of the targets.
local function moves_of(names, items)
    if #items > moves_max * items_per_move then errors.raise("malformed", "too many moves at once") end
    local by_source, targets = {}, {}
    for place = 1, #items, items_per_move do
        local source, target = items[place], items[place + 2]
        by_source[source] = by_source[source] or {}
        targets[target] = true
        by_source[source][number.uint(items[place + 1], "offset")] = {
            target = target,
            -- What is being deleted takes nothing, and what is in its place stays.
            is_taken = source == target or dead.state_of(names[target]) == "taken",
            offset = number.uint(items[place + 3], "offset"),
            stored_length = number.optional(items[place + 4], "stored_length"),
            bytes = number.uint(items[place + 5], "bytes"),
        }
    end
    return by_source, targets
end

--- Appends the messages that point at places that are moved, with their moves.
local function append_messages(found, source_id, moves)
    objects.each_message(source_id, function(row)
        local move = moves[tonumber(row[message.offset])]
        if move == nil or move.is_taken or row[message.length] == nil then return end
        found[#found + 1] = { row = row, move = move }
    end)
end

local function by_place(a, b)
    local left, right = a.row, b.row
    if left[message.subject_id] ~= right[message.subject_id] then
        return left[message.subject_id] < right[message.subject_id]
    end
    return left[message.sequence] < right[message.sequence]
end

local function write(row, move, object_id)
    store.replace_message(tonumber(row[message.subject_id]), tonumber(row[message.sequence]),
        tonumber(row[message.timestamp]), object_id, tonumber(row[message.bytes_through]), move.offset,
        page.length_of(row), row[message.sha256], store.flat_headers(row[message.headers]),
        store.optional(row[message.expires_at]), move.stored_length)
end

function M.run(context, request)
    local names, linger_ms = request[1], number.uint(request[3], "linger_ms")
    local now_ms, found, releasing, sources = context.now_ms, {}, objects.releasing(), {}
    local by_source, targets = moves_of(names, request[2])
    for place, moves in pairs(by_source) do
        local source = objects.find(names[place])
        if source ~= nil then
            sources[#sources + 1] = tonumber(source[objects.field.id])
            append_messages(found, sources[#sources], moves)
        end
    end
    -- A tally takes the sequences of a subject in their order.
    table.sort(found, by_place)
    local tally = objects.tally(names)
    for _, each in ipairs(found) do
        local row, move = each.row, each.move
        objects.add(tally, move.target, tonumber(row[message.subject_id]), tonumber(row[message.sequence]), move.bytes,
            move.is_counted and 0 or move.bytes)
        move.is_counted = true
        releasing.add(tonumber(row[message.object_id]), page.stored_length_of(row))
    end
    local object_ids = objects.save(tally, function(subject_id) return subject_id end, now_ms)
    for _, each in ipairs(found) do write(each.row, each.move, object_ids[each.move.target]) end
    releasing.finish(now_ms + linger_ms)
    for _, id in ipairs(sources) do objects.linger(id, now_ms + linger_ms) end
    for target in pairs(targets) do dead.condemn(names[target], now_ms) end
    return #found
end

return M
