--- Gives the lease of an actor back, when the fence is still its own. Takes `{name, fence}`.

local actors = require("mts.actors")
local number = require("mts.number")

local M = {}

function M.run(_, request)
    local actor = actors.find(request[1])
    if actor == nil or actor.fence ~= number.uint(request[2], "fence") then return false end
    actor.owner, actor.lease_until = nil, 0
    actors.save(actor)
    return true
end

return M
