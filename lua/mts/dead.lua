--- Dead objects: those that no message points into any more, until they are deleted and forgotten. One that was handed
-- out for deletion never comes back, however long ago that was: it may go at any moment.

local store = require("mts.store")

local M = {}

local taken_until_field = 3

--- Adds an object whose last message is gone.
function M.add(name, now_ms)
    store.replace("mts_dead", { name, now_ms, 0 })
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
    return found[taken_until_field] > 0 and "taken" or "waiting"
end

--- A message points into the object again.
function M.revive(name)
    store.delete("mts_dead", name)
end

--- Hands out the oldest that died at or before a time and are in nobody's hands.
function M.take(limit, since_max, now_ms, until_ms)
    local names = {}
    if limit == 0 then return names end
    for _, row in box.space.mts_dead.index.since:pairs() do
        if row[2] > since_max then break end
        if row[taken_until_field] <= now_ms then
            names[#names + 1] = row[1]
            if #names == limit then break end
        end
    end
    for _, name in ipairs(names) do store.update("mts_dead", name, { { "=", taken_until_field, until_ms } }) end
    return names
end

--- Forgets an object that was handed out.
function M.forget(name)
    if M.state_of(name) == "taken" then store.delete("mts_dead", name) end
end

function M.count()
    return box.space.mts_dead:len()
end

return M
