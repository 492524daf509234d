--- How far an actor is, in byte order of the subjects. Takes `{name, after, limit}`, answers `{subject, through,
-- effects through, subject …}`.

local actors = require("mts.actors")
local number = require("mts.number")

local M = {}

--- Positions in one answer.
local limit_max = 10000

function M.run(request)
    local actor = actors.find(request[1])
    if actor == nil then return {} end
    return actors.positions(actor, request[2], math.min(number.uint(request[3], "limit"), limit_max))
end

return M
