--- What is known of all actors, in byte order of their names; each as `mts.verb.actor` answers it.

local actors = require("mts.actors")
local clock = require("mts.clock")

local M = {}

function M.run()
    local found, now_ms = actors.list(), clock.now_ms()
    for place, actor in ipairs(found) do found[place] = actors.with_state(actors.record(actor, now_ms)) end
    return found
end

return M
