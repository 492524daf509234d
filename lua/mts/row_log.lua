--- Which rows of actors were written, in memory: a bounded ring, filled where this instance writes them. What was
-- undone stays in it, so that it may name more than was changed in the end, and never less. With another process
-- another life begins, and with whatever came by replication: that is in no ring. No trigger fills it: rows are
-- written by calls into C, and a compiled one must not come back into Lua.

local uuid = require("uuid")

local M = {}

--- Writes that are remembered.
M.capacity = 16384

local life = uuid.str()
local actor_ids, generations, keys = {}, {}, {}
local newest = 0

--- A row of an actor is about to be written or removed.
function M.note(actor, key)
    newest = newest + 1
    local place = newest % M.capacity
    actor_ids[place], generations[place], keys[place] = actor.id, actor.generation, key
end

--- How much came from other instances.
local function replicated()
    local own, sum = box.info.id, 0
    for instance, lsn in pairs(box.info.vclock) do
        if instance ~= own and instance ~= 0 then sum = sum + tonumber(lsn) end
    end
    return sum
end

--- What the marks of an actor (nil: it is not known) begin with.
local function prefix_of(actor)
    local id, generation = actor == nil and 0 or actor.id, actor == nil and 0 or actor.generation
    return ("%s:%d:%d:%d:"):format(life, replicated(), id, generation)
end

--- Now, as text.
function M.mark(actor)
    return prefix_of(actor) .. newest
end

--- Keys of the rows of an actor that were written since a mark, each once; nil when that is not known, or when they are
-- more than `limit`.
function M.since(actor, mark, limit)
    local prefix = prefix_of(actor)
    if mark:sub(1, #prefix) ~= prefix then return nil end
    local after = tonumber(mark:sub(#prefix + 1))
    if after == nil or after > newest or after < newest - M.capacity then return nil end
    local found, seen = {}, {}
    for version = after + 1, newest do
        local place = version % M.capacity
        local key = keys[place]
        local is_own = actor ~= nil and actor_ids[place] == actor.id and generations[place] == actor.generation
        if is_own and not seen[key] then
            seen[key] = true
            found[#found + 1] = key
            if #found > limit then return nil end
        end
    end
    return found
end

--- Begins another life. For tests.
function M.restart()
    life = uuid.str()
end

return M
