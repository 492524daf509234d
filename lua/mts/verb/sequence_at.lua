--- The first stored sequence with a timestamp at or after a time. Takes `{subject, timestamp}`, answers a sequence.

local clock = require("mts.clock")
local retention = require("mts.retention")
local times = require("mts.times")
local number = require("mts.number")

local M = {}

function M.run(request)
    local subject = retention.subject(request[1], clock.now_ms())
    if subject == nil then return 1 end
    return times.sequence_at(subject, number.uint(request[2], "timestamp"))
end

return M
