--- Which rows of actors were written, in memory: a bounded ring, filled by whatever writes them on this instance or by
-- replication. What was undone stays in it, so that it may name more than was changed in the end, and never less. It
-- begins when it is first asked, and with another process another life begins.

local uuid = require("uuid")

local M = {}

--- Writes that are remembered.
M.capacity = 16384

local life = uuid.str()
local actor_ids, generations, keys = {}, {}, {}
local newest = 0
local is_watched = false

local function note(before, after)
    local row = after or before
    if row == nil then return end
    newest = newest + 1
    local place = newest % M.capacity
    actor_ids[place], generations[place], keys[place] = row[1], row[2], row[3]
end

local function watch()
    if is_watched then return end
    box.space.mts_actor_rows:on_replace(note)
    is_watched = true
end

--- What the marks of an actor (nil: it is not known) begin with.
local function prefix_of(actor)
    return ("%s:%d:%d:"):format(life, actor == nil and 0 or actor.id, actor == nil and 0 or actor.generation)
end

--- Now, as text.
function M.mark(actor)
    watch()
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
        if actor ~= nil and not seen[key] and actor_ids[place] == actor.id and generations[place] == actor.generation then
            seen[key] = true
            found[#found + 1] = key
            if #found > limit then return nil end
        end
    end
    return found
end

return M
