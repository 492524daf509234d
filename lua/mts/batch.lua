--- Commits messages that the store has already (delayed ones, dead letters, redriven ones): their bodies are in their
-- objects, so that nothing new comes into those.

local commit = require("mts.verb.commit")
local store = require("mts.store")

local M = {}

--- Numbers things in the order in which they are first seen.
local function places()
    local names, place_of = {}, {}
    return names, function(name)
        if place_of[name] == nil then
            names[#names + 1] = name
            place_of[name] = #names
        end
        return place_of[name]
    end
end

local function or_null(value)
    if value == nil then return box.NULL end
    return value
end

--- Commits messages in their order, fields by name: `subject`, `object_id`, `offset`, `length`, `sha256`,
-- `stored_length`, `headers` (flat or nil), `message_id`, `ttl_ms`. Answers for each that was not committed, by its
-- place, the outcome's first number.
function M.commit(context, messages, window_ms)
    local refused = {}
    if #messages == 0 then return refused end
    local subjects, subject_place = places()
    local objects, object_place = places()
    local entries, extras = {}, {}
    for place, message in ipairs(messages) do
        local object = store.object_name(message.object_id)
        local at = #entries
        entries[at + 1] = subject_place(message.subject)
        entries[at + 2] = object == "" and 0 or object_place(object)
        entries[at + 3] = message.offset
        entries[at + 4] = or_null(message.length)
        entries[at + 5] = or_null(message.sha256)
        entries[at + 6] = or_null(message.headers)
        entries[at + 7] = or_null(message.message_id)
        entries[at + 8] = box.NULL
        if message.stored_length ~= nil or message.ttl_ms ~= nil then
            local next_place = #extras + 1
            extras[next_place], extras[next_place + 1] = place, or_null(message.stored_length)
            extras[next_place + 2] = or_null(message.ttl_ms)
            extras[next_place + 3], extras[next_place + 4] = box.NULL, box.NULL
        end
    end
    local _, _, exceptions = unpack(commit.run(context, { window_ms, subjects, objects, entries, extras }, true))
    for place = 1, #exceptions, 2 do refused[exceptions[place]] = exceptions[place + 1][1] end
    return refused
end

return M
