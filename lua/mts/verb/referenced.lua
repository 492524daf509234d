--- Whether any stored message points into each object. Takes `{objects}`, answers booleans.

local M = {}

function M.run(request)
    local answers = {}
    for place, name in ipairs(request[1]) do
        local found = box.space.mts_objects.index.name:get(name)
        answers[place] = found ~= nil and found[3] > 0
    end
    return answers
end

return M
