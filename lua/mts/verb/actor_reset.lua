--- Begins a new generation of an actor. Takes `{name}`, answers `{record, null}` (see `mts.actors`), or null when there
-- is none.

local actors = require("mts.actors")

local M = {}

function M.run(context, request)
    local actor = actors.find(request[1])
    if actor == nil then return box.NULL end
    actor.generation = actor.generation + 1
    actor.fence = actor.fence + 1
    actor.owner, actor.lease_until, actor.alarm_at = nil, 0, nil
    actors.save(actor)
    actors.put_state(actor, nil)
    return { actors.record(actor, context.now_ms), box.NULL }
end

return M
