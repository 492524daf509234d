--- Heads in the order asked. Takes `{subjects}`, answers `{first, last, first, last …}`.

local clock = require("mts.clock")
local retention = require("mts.retention")
local store = require("mts.store")

local M = {}

function M.run(request)
    local heads, now_ms = {}, clock.now_ms()
    for _, name in ipairs(request[1]) do
        local first, last = store.head(retention.subject(name, now_ms))
        heads[#heads + 1] = first
        heads[#heads + 1] = last
    end
    return heads
end

return M
