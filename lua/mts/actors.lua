--- Application actors: who has each, their states, positions and rows. The only file that knows the fields of the
-- `mts_actor…` spaces.
--
-- * `owner` is who claimed the actor last, null when it was given back; the lease may be over.
-- * Rows of a former generation are garbage that commits remove. A position of a former generation stays: it is at 0,
--   and what was published for messages through it, was.
-- * States are beside their actors, as they may be large and a lease is renewed often.

local row_log = require("mts.row_log")
local store = require("mts.store")
local wire = require("mts.wire")

local M = {}

--- Rows of former generations that one commit removes at most.
local former_max = 500

local function or_null(value)
    if value == nil then return box.NULL end
    return value
end

local function or_nil(value)
    if value == nil then return nil end
    return value
end

local function actor_of(row)
    if row == nil then return nil end
    return {
        id = tonumber(row[1]),
        name = row[2],
        generation = tonumber(row[3]),
        fence = tonumber(row[4]),
        revision = tonumber(row[5]),
        owner = or_nil(row[6]),
        lease_until = tonumber(row[7]),
        alarm_at = store.optional(row[8]),
        restarts = tonumber(row[9]),
        last_error = or_nil(row[10]),
        updated_at = tonumber(row[11]),
    }
end

--- An actor, or nil. Its fields may be changed and then saved.
function M.find(name)
    return actor_of(box.space.mts_actors.index.name:get(name))
end

--- All actors in byte order of their names.
function M.list()
    local actors = {}
    for place, row in ipairs(box.space.mts_actors.index.name:select()) do actors[place] = actor_of(row) end
    return actors
end

--- An actor that nobody has claimed yet; it is not saved.
function M.new(name, now_ms)
    local newest = box.space.mts_actors.index.id:max()
    return {
        id = newest == nil and 1 or tonumber(newest[1]) + 1,
        name = name, generation = 1, fence = 0, revision = 0, lease_until = 0, restarts = 0, updated_at = now_ms,
    }
end

--- Saves an actor.
function M.save(actor)
    store.replace("mts_actors", {
        actor.id, actor.name, actor.generation, actor.fence, actor.revision, or_null(actor.owner), actor.lease_until,
        or_null(actor.alarm_at), actor.restarts, or_null(actor.last_error), actor.updated_at,
    })
end

--- Whether the lease of an actor holds.
function M.is_held(actor, now_ms)
    return actor.owner ~= nil and actor.lease_until > now_ms
end

--- What is told of an actor but its state: `{id, name, generation, fence, revision, owner or null, milliseconds of the
-- lease that are left, alarm or null, restarts, last error or null, updated at}`.
function M.record(actor, now_ms)
    local is_held = M.is_held(actor, now_ms)
    return {
        actor.id, actor.name, actor.generation, actor.fence, actor.revision, is_held and actor.owner or box.NULL,
        is_held and actor.lease_until - now_ms or 0, or_null(actor.alarm_at), actor.restarts, or_null(actor.last_error),
        actor.updated_at,
    }
end

--- A record with the row of its state (`{actor id, state}`) or null behind it.
function M.with_state(record)
    return { record, or_null(box.space.mts_actor_states:get(record[1])) }
end

--- Sets the state of an actor; nil takes it away.
function M.put_state(actor, state)
    if state == nil then
        store.delete("mts_actor_states", actor.id)
        return
    end
    store.changed = true
    wire.reset()
    wire.array(2)
    wire.uint(actor.id)
    wire.binary(state)
    wire.replace(box.space.mts_actor_states.id)
end

-- Positions ------------------------------------------------------------------------------------------------------

--- Sequences through which messages are in the state, and through which what they made was published.
local function position_of(row, generation)
    local through, effects_through = tonumber(row[4]), tonumber(row[5])
    if row[3] == generation then return through, effects_through end
    return 0, math.max(through, effects_through)
end

--- Moves an actor forward in a subject.
function M.put_position(actor, subject, through)
    local row = box.space.mts_actor_positions:get({ actor.id, subject })
    local effects_through = 0
    if row ~= nil then effects_through = select(2, position_of(row, actor.generation)) end
    store.replace("mts_actor_positions", { actor.id, subject, actor.generation, through, effects_through })
end

--- Positions behind a subject, three items each: subject, through, effects through.
function M.positions(actor, after, limit)
    local items = {}
    local rows = box.space.mts_actor_positions:select({ actor.id, after }, { iterator = "GT", limit = limit })
    for _, row in ipairs(rows) do
        if row[1] ~= actor.id then break end
        local through, effects_through = position_of(row, actor.generation)
        items[#items + 1] = row[2]
        items[#items + 1] = through
        items[#items + 1] = effects_through
    end
    return items
end

-- Rows -----------------------------------------------------------------------------------------------------------

--- Sets a row; a value of nil removes it.
function M.put_row(actor, key, value)
    row_log.note(actor, key)
    if value == nil then
        store.delete("mts_actor_rows", { actor.id, actor.generation, key })
        return
    end
    store.changed = true
    wire.reset()
    wire.array(4)
    wire.uint(actor.id)
    wire.uint(actor.generation)
    wire.text(key)
    wire.binary(value)
    wire.replace(box.space.mts_actor_rows.id)
end

--- The row (`{actor id, generation, key, value}`) of a key, or null.
function M.row(actor, key)
    return or_null(box.space.mts_actor_rows:get({ actor.id, actor.generation, key }))
end

--- Rows from a key on, up to another one (nil: to the end), which is not among them.
function M.range(actor, from, to, limit)
    local rows = {}
    if limit == 0 then return rows end
    local key = { actor.id, actor.generation, from }
    for _, row in box.space.mts_actor_rows:pairs(key, { iterator = "GE" }) do
        if row[1] ~= actor.id or row[2] ~= actor.generation or to ~= nil and row[3] >= to then break end
        rows[#rows + 1] = row
        if #rows == limit then break end
    end
    return rows
end

--- Removes some rows of former generations; mostly there are none, and that is one look.
function M.remove_former(actor)
    local space = box.space.mts_actor_rows
    local oldest = space.index.key:min({ actor.id })
    if oldest == nil or oldest[2] >= actor.generation then return end
    for _, row in ipairs(space:select({ actor.id }, { limit = former_max })) do
        if row[2] >= actor.generation then return end
        store.delete("mts_actor_rows", { row[1], row[2], row[3] })
    end
end

return M
