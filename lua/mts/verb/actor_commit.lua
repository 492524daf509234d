--- One step of an actor: state, alarm, rows, positions and what it publishes, all of it or nothing. Takes `{name,
-- fence, revision, lease_ms, state or null, alarm, failure or null, positions, rows, commit or null}`: `alarm` is null
-- to leave it, false to take it away, or its time; `positions` are `{subject, through, subject …}`, `rows` `{key, value
-- or null, key …}`, and `commit` is the request of `mts.verb.commit`.
-- Answers `{0, revision, what the commit answers or null}`, `{1}` when somebody else owns the actor now, or `{2, null,
-- what the commit would have answered}` when a message was refused. A step that was done before is `{0, revision,
-- null}`.

local actors = require("mts.actors")
local capacity = require("mts.capacity")
local commit = require("mts.verb.commit")
local number = require("mts.number")
local writer = require("mts.writer")

local M = {}

local committed, fenced, refused = 0, 1, 2

--- First items of the outcomes that refuse a step.
local refusals = { [commit.wrong_last] = true, [commit.subject_full] = true, [commit.object_gone] = true }

local function is_refused(outcomes)
    local exceptions = outcomes[3]
    for place = 2, #exceptions, 2 do
        if refusals[exceptions[place][1]] then return true end
    end
    return false
end

--- What only the actor itself sees.
local function save_own(actor, state, positions, rows)
    for place = 1, #positions, 2 do
        actors.put_position(actor, positions[place], number.uint(positions[place + 1], "through"))
    end
    for place = 1, #rows, 2 do
        local value = rows[place + 1]
        if value == nil then value = nil end
        actors.put_row(actor, rows[place], value)
    end
    if state ~= nil then actors.put_state(actor, state) end
    actors.remove_former(actor)
end

local function save(actor, alarm, failure)
    if alarm == false then
        actor.alarm_at = nil
    elseif alarm ~= nil then
        actor.alarm_at = number.uint(alarm, "alarm")
    end
    if failure ~= nil then
        actor.restarts = actor.restarts + 1
        actor.last_error = failure
    end
    actors.save(actor)
end

function M.run(context, request)
    local actor = actors.find(request[1])
    local fence, before = number.uint(request[2], "fence"), number.uint(request[3], "revision")
    local state, alarm, failure, positions, rows, publishes = unpack(request, 5, 10)
    if actor == nil or actor.fence ~= fence then return { fenced } end
    if actor.revision == before + 1 then return { committed, actor.revision, box.NULL } end
    -- Who gave it back has to claim it again, too.
    if actor.revision ~= before or actor.owner == nil then return { fenced } end
    local outcomes = box.NULL
    if publishes ~= nil then
        local mark = writer.mark(context)
        outcomes = commit.run(context, publishes)
        if is_refused(outcomes) then
            writer.undo(context, mark)
            return { refused, box.NULL, outcomes }
        end
    elseif state ~= nil or #rows > 0 or #positions > 0 then
        capacity.check()
    end
    actor.revision = before + 1
    actor.lease_until = context.now_ms + number.uint(request[4], "lease_ms")
    actor.updated_at = context.now_ms
    save(actor, alarm, failure)
    save_own(actor, state, positions, rows)
    return { committed, actor.revision, outcomes }
end

return M
