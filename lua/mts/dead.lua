--- Dead objects: those that no message points into any more, until they are deleted and forgotten. One that was handed
-- out for deletion never comes back, however long ago that was: it may go at any moment.

local store = require("mts.store")

local M = {}

local field = { name = 1, since = 2, taken_until = 3, bytes = 4 }

--- Adds an object whose last message is gone. `bytes` were committed into it; nil where that is not known.
function M.add(name, now_ms, bytes)
    store.replace("mts_dead", { name, now_ms, 0, bytes })
end

--- Adds an object that is neither referred to nor dead; answers whether it was such a one.
function M.condemn(name, now_ms)
    if name == "" or store.is_referenced(name) or box.space.mts_dead:get(name) ~= nil then return false end
    M.add(name, now_ms)
    return true
end

--- `waiting`, `taken`, or nil when the object is not dead.
function M.state_of(name)
    local found = box.space.mts_dead:get(name)
    if found == nil then return nil end
    return found[field.taken_until] > 0 and "taken" or "waiting"
end

--- A message points into the object again.
function M.revive(name)
    store.delete("mts_dead", name)
end

--- Hands out those that died at or before a time and are in nobody's hands, the oldest first; then those that were in
-- somebody's, for too long. Answers names, and beside them bytes: of what is handed out for the first time, and null
-- where they are not known.
function M.take(limit, since_max, now_ms, until_ms)
    local names, bytes = {}, {}
    if limit == 0 then return names, bytes end
    local free = box.space.mts_dead.index.free
    for _, row in free:pairs({ 0 }, { iterator = "EQ" }) do
        if row[field.since] > since_max or #names == limit then break end
        names[#names + 1], bytes[#bytes + 1] = row[field.name], row[field.bytes] or box.NULL
    end
    for _, row in free:pairs({ 0 }, { iterator = "GT" }) do
        if row[field.taken_until] > now_ms or #names == limit then break end
        if row[field.since] <= since_max then names[#names + 1], bytes[#bytes + 1] = row[field.name], box.NULL end
    end
    for _, name in ipairs(names) do M.hold(name, until_ms) end
    return names, bytes
end

--- Keeps an object from others until a time.
function M.hold(name, until_ms)
    store.update("mts_dead", name, { { "=", field.taken_until, until_ms } })
end

--- Forgets an object that was handed out.
function M.forget(name)
    if M.state_of(name) == "taken" then store.delete("mts_dead", name) end
end

function M.count()
    return box.space.mts_dead:len()
end

return M
