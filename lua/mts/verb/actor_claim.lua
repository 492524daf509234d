--- Gives the lease of an actor, which is made when it is unknown, to somebody. Takes `{name, owner, lease_ms}`, answers
-- `{0, {record, row of its state or null}}`, or `{1, owner, milliseconds left}` when somebody else has it. What is
-- remembered is the record, with the fence that was given; the state is rendered.

local actors = require("mts.actors")
local capacity = require("mts.capacity")
local number = require("mts.number")

local M = {}

local claimed, held = 0, 1

function M.run(context, request)
    local name, owner, lease_ms = request[1], request[2], number.uint(request[3], "lease_ms")
    local now_ms = context.now_ms
    local actor = actors.find(name)
    if actor == nil then
        capacity.check()
        actor = actors.new(name, now_ms)
    end
    if actors.is_held(actor, now_ms) and actor.owner ~= owner then
        return { held, actor.owner, actor.lease_until - now_ms }
    end
    actor.fence = actor.fence + 1
    actor.owner = owner
    actor.lease_until = now_ms + lease_ms
    actors.save(actor)
    return { claimed, actors.record(actor, now_ms) }
end

function M.render(outcome)
    if outcome[1] ~= claimed then return outcome end
    return { claimed, actors.with_state(outcome[2]) }
end

return M
