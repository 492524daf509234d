--- Forgets objects that were handed out and are deleted now. Takes `{objects}`, answers null.

local dead = require("mts.dead")

local M = {}

function M.run(_, request)
    for _, name in ipairs(request[1]) do dead.forget(name) end
    return box.NULL
end

return M
