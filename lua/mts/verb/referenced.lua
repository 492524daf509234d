--- Whether any stored message points into each object. Takes `{objects}`, answers booleans.

local store = require("mts.store")

local M = {}

function M.run(request)
    local answers = {}
    for place, name in ipairs(request[1]) do answers[place] = store.is_referenced(name) end
    return answers
end

return M
