--- What is known of an actor. Takes `{name}`, answers `{record, row of its state or null}` (see `mts.actors`), or null.

local actors = require("mts.actors")
local clock = require("mts.clock")

local M = {}

function M.run(request)
    local actor = actors.find(request[1])
    if actor == nil then return box.NULL end
    return actors.with_state(actors.record(actor, clock.now_ms()))
end

return M
