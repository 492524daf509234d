--- The first stored sequence with a timestamp at or after a time. Takes `{subject, timestamp}`, answers a sequence.

local store = require("mts.store")
local times = require("mts.times")
local number = require("mts.number")

local M = {}

function M.run(request)
    local subject = store.subject(request[1])
    if subject == nil then return 1 end
    return times.sequence_at(subject, number.uint(request[2], "timestamp"))
end

return M
