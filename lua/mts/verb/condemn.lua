--- Takes objects that nothing points into and that are not known among the dead. Takes `{objects}`, answers how many
-- that were.

local capacity = require("mts.capacity")
local dead = require("mts.dead")

local M = {}

function M.run(context, request)
    capacity.check()
    local condemned = 0
    for _, name in ipairs(request[1]) do
        if dead.condemn(name, context.now_ms) then condemned = condemned + 1 end
    end
    return condemned
end

return M
