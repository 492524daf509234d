--- Hands out objects that are worth rewriting, each to one caller at a time. Takes `{alive_share_max, tiny_bytes,
-- tiny_min, min_age_ms, objects_max, alive_bytes_max, lease_ms}`, answers a list of `{object, bodies}`; for the bodies
-- see `mts.sparse`. The objects and their bodies are looked for before the call takes its turn as a writer, as there
-- may be many.

local fiber = require("fiber")
local clock = require("mts.clock")
local errors = require("mts.errors")
local number = require("mts.number")
local objects = require("mts.objects")
local sparse = require("mts.sparse")
local writer = require("mts.writer")

local M = {}

--- Objects that are read together.
local turn_rows = 250
--- How long this looks before others get their turn, in seconds.
local turn_s = 0.002
--- Objects in one answer.
local objects_max = 1000
--- Of so many for each that is handed out the best are chosen.
local looked_at_per_object = 4
--- Bodies in one answer, unless one object alone has more: as many as are moved at once.
local bodies_max = 10000

local function wanted_of(request)
    local share = request[1]
    if type(share) ~= "number" or share < 0 or share > 1 then
        errors.raise("malformed", "alive_share_max must be a number from 0 to 1")
    end
    return {
        alive_share_max = share,
        tiny_bytes = number.uint(request[2], "tiny_bytes"),
        tiny_min = number.uint(request[3], "tiny_min"),
        min_age_ms = number.uint(request[4], "min_age_ms"),
        objects_max = math.min(number.uint(request[5], "objects_max"), objects_max),
        alive_bytes_max = number.uint(request[6], "alive_bytes_max"),
        lease_ms = number.uint(request[7], "lease_ms"),
    }
end

local function append_sorted(ids, list)
    table.sort(list, function(a, b)
        if a.rank ~= b.rank then return a.rank < b.rank end
        return a.id < b.id
    end)
    for _, each in ipairs(list) do ids[#ids + 1] = each.id end
end

--- Until when, in seconds, objects are kept for calls that have not had their turn yet, by ids; nobody clears what
-- a call kept that never has it. So are those in which nothing is left but rows on their way out: while a million of
-- these go, each of their objects looks as if it were sparse.
local kept, keep_s = {}, 5

local function forget_kept()
    local now_s = fiber.clock()
    for id, until_s in pairs(kept) do
        if until_s <= now_s then kept[id] = nil end
    end
end

--- Answers a function that lets others have their turn when it is time.
local function turns()
    local since_s = clock.elapsed_s()
    return function()
        if clock.elapsed_s() - since_s < turn_s then return end
        writer.pause()
        since_s = clock.elapsed_s()
    end
end

--- Ids of objects that look as if they were wanted: sparse ones, the worst first, then tiny ones, the oldest first.
local function find(wanted, now_ms, turn)
    local found, small, tiny_count = {}, {}, 0
    local enough = math.max(wanted.tiny_min, looked_at_per_object * wanted.objects_max)
    local field, after = objects.field, 0
    repeat
        local rows = box.space.mts_objects:select({ after }, { iterator = "GT", limit = turn_rows })
        for _, row in ipairs(rows) do
            local kind = sparse.kind_of(row, wanted, now_ms)
            if kind ~= nil and kept[tonumber(row[field.id])] == nil then
                local id, committed = tonumber(row[field.id]), tonumber(row[field.committed])
                if kind == "sparse" then
                    found[#found + 1] = { id = id, rank = tonumber(row[field.alive]) / committed }
                else
                    small[#small + 1] = { id = id, rank = tonumber(row[field.committed_at]) }
                end
                if committed < wanted.tiny_bytes then tiny_count = tiny_count + 1 end
            end
            if #found + #small >= enough then rows = {} break end
        end
        if #rows == turn_rows then
            after = rows[#rows][field.id]
            turn()
        end
    until #rows < turn_rows
    local ids = {}
    append_sorted(ids, found)
    if tiny_count >= wanted.tiny_min then append_sorted(ids, small) end
    return ids
end

--- An object when it is still wanted, or nil: somebody else may have been faster.
local function wanted_object(id, wanted, now_ms)
    local object = box.space.mts_objects:get(id)
    if object == nil or sparse.kind_of(object, wanted, now_ms) == nil then return nil end
    return object
end

--- What may be handed out, as `{id, bodies}` each. A body that goes meanwhile is moved in vain, as one that goes later.
function M.prepare(request)
    writer.settle()
    local wanted, now_ms = wanted_of(request), clock.now_ms()
    local found, total, body_count, turn = {}, 0, 0, turns()
    forget_kept()
    for _, id in ipairs(find(wanted, now_ms, turn)) do
        if #found >= wanted.objects_max then break end
        if kept[id] == nil and wanted_object(id, wanted, now_ms) ~= nil then
            local rows, bytes = sparse.bodies(id)
            local is_too_much = total + bytes > wanted.alive_bytes_max or body_count + #rows > bodies_max
            if #found > 0 and is_too_much then break end
            kept[id] = fiber.clock() + keep_s
            -- What only rows on their way out point into dies by itself.
            if #rows > 0 then
                found[#found + 1] = { id = id, bodies = rows }
                total, body_count = total + bytes, body_count + #rows
            end
            turn()
        end
    end
    return found
end

--- Bodies of objects that were just handed out, so that they are looked for once.
local fresh = setmetatable({}, { __mode = "k" })

function M.run(context, request, found)
    local wanted, now_ms = wanted_of(request), context.now_ms
    local names, bodies = {}, {}
    for _, each in ipairs(found) do
        local object = wanted_object(each.id, wanted, now_ms)
        kept[each.id] = nil
        if object ~= nil then
            names[#names + 1], bodies[#bodies + 1] = object[objects.field.name], each.bodies
            objects.lease(each.id, now_ms + wanted.lease_ms)
        end
    end
    fresh[names] = bodies
    return names
end

--- Only the names are remembered for a repeated call; the bodies are read again.
function M.render(names)
    local answer = {}
    for place, name in ipairs(names) do
        local object = objects.find(name)
        local rows = fresh[names] and fresh[names][place] or object and sparse.bodies(tonumber(object[1])) or {}
        answer[place] = { name, sparse.pack(rows) }
    end
    return answer
end

return M
