--- Delayed messages that wait, by number, for the doctor. Takes `{after, limit}`, answers those behind a number: tuples
-- `{number, subject, due_at, object, offset, length, stored length or null, SHA-256}`.

local delayed = require("mts.delayed")
local number = require("mts.number")
local store = require("mts.store")
local wire = require("mts.wire")

local M = {}

local limit_max = 1000

function M.run(request)
    local after = number.uint(request[1], "after")
    local limit = math.min(number.uint(request[2], "limit"), limit_max)
    local tuples = {}
    for place, message in ipairs(delayed.waiting(after, limit)) do
        wire.reset()
        wire.array(8)
        wire.uint(message.id)
        wire.text(message.subject)
        wire.uint(message.due_at)
        wire.text(store.object_name(message.object_id))
        wire.uint(message.offset)
        wire.uint(message.length)
        if message.stored_length == nil then wire.null() else wire.uint(message.stored_length) end
        wire.binary(message.sha256)
        tuples[place] = wire.tuple(wire.built())
    end
    return tuples
end

return M
