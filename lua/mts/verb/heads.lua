--- Heads in the order asked. Takes `{subjects}`, answers `{first, last, first, last …}`.

local store = require("mts.store")

local M = {}

function M.run(request)
    local heads = {}
    for _, name in ipairs(request[1]) do
        local first, last = store.head(store.subject(name))
        heads[#heads + 1] = first
        heads[#heads + 1] = last
    end
    return heads
end

return M
