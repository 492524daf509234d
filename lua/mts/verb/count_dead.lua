--- How many objects wait for their deletion, handed out or not.

local dead = require("mts.dead")

local M = {}

function M.run()
    return dead.count()
end

return M
