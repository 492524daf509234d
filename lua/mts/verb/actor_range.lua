--- Rows of an actor in byte order of their keys. Takes `{name, from, to or null, limit}`, answers the rows; `to` is not
-- among them.

local actors = require("mts.actors")
local number = require("mts.number")

local M = {}

--- Rows in one answer.
local limit_max = 10000

function M.run(request)
    local actor, to = actors.find(request[1]), request[3]
    if actor == nil then return {} end
    if to == nil then to = nil end
    return actors.range(actor, request[2], to, math.min(number.uint(request[4], "limit"), limit_max))
end

return M
