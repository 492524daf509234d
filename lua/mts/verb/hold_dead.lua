--- Keeps objects that were handed out, and are deleted now, from being handed out again. Takes `{objects, lease_ms}`,
-- answers null.

local dead = require("mts.dead")
local number = require("mts.number")

local M = {}

function M.run(context, request)
    local lease_ms = number.uint(request[2], "lease_ms")
    for _, name in ipairs(request[1]) do
        if dead.state_of(name) == "taken" then dead.hold(name, context.now_ms + lease_ms) end
    end
    return box.NULL
end

return M
