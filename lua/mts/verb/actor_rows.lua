--- Rows of an actor by their keys. Takes `{name, keys}`, answers a row or null for each key, in their order.

local actors = require("mts.actors")

local M = {}

function M.run(request)
    local actor, rows = actors.find(request[1]), {}
    for place, key in ipairs(request[2]) do rows[place] = actor == nil and box.NULL or actors.row(actor, key) end
    return rows
end

return M
