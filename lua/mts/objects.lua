--- Objects of the body store: how many messages point into each, how many bytes were ever committed into it and how
-- many of them are still pointed at, and where its messages are. The only file that knows the fields of `mts_objects`
-- and `mts_spans`.
--
-- * `committed` and `alive` are null in an object with a body of which only the name was known when it was published:
--   the name belongs to whoever published it, and what it holds is never moved elsewhere.
-- * A message that points at bytes which are in the object already (a dead letter, a redriven one) is alive there, but
--   brings no new bytes; so may `alive` be more than `committed`.
-- * A span says that messages of a subject from one sequence to another may point into the object: one for a batch and
--   subject, not for a message. It goes with its object only, so some of its messages may be gone. The first is in the
--   object's own row, as many objects have no other.

local dead = require("mts.dead")
local store = require("mts.store")

local M = {}

local field = {
    id = 1, name = 2, messages = 3, committed = 4, alive = 5, committed_at = 6, subject_id = 7, first = 8, last = 9,
    leased_until = 10, linger_until = 11,
}
M.field = field

--- Sequences between two spans that are looked at in vain rather than remembered as a gap.
local gap_max = 100
M.gap_max = gap_max

local function next_id()
    local newest = box.space.mts_objects.index.id:max()
    return newest == nil and 1 or tonumber(newest[field.id]) + 1
end

--- The row of an object, or nil.
function M.find(name)
    return box.space.mts_objects.index.name:get(name)
end

-- What messages come ------------------------------------------------------------------------------------------------

local function is_near(first, span_first, span_last)
    return first >= span_first and first <= span_last + 1 + gap_max
end

--- Notes that messages of a subject from `first` to `last` point into an object.
function M.note_span(object_id, subject_id, first, last)
    local object = box.space.mts_objects:get(object_id)
    if object[field.subject_id] == nil then
        store.update("mts_objects", object_id,
            { { "=", field.subject_id, subject_id }, { "=", field.first, first }, { "=", field.last, last } })
        return
    end
    if object[field.subject_id] == subject_id and is_near(first, object[field.first], object[field.last]) then
        if last > object[field.last] then store.update("mts_objects", object_id, { { "=", field.last, last } }) end
        return
    end
    local newest = box.space.mts_spans.index.span:max({ object_id, subject_id })
    if newest ~= nil and is_near(first, newest[3], newest[4]) then
        if last <= newest[4] then return end
        store.update("mts_spans", { object_id, subject_id, newest[3] }, { { "=", 4, last } })
        return
    end
    if newest ~= nil and first < newest[3] then
        local same = box.space.mts_spans:get({ object_id, subject_id, first })
        if same ~= nil then last = math.max(last, tonumber(same[4])) end
    end
    store.replace("mts_spans", { object_id, subject_id, first, last })
end

--- Counts so many more messages in an object and answers its id. `bytes` of bodies are pointed at by them, `new_bytes`
-- of which were not in the object before; nil when the length of one is not known. A new object takes a span, as
-- `{subject id, first, last}` or nil, at once; answers whether it did.
function M.refer(name, messages, bytes, new_bytes, now_ms, span)
    local found = M.find(name)
    if found == nil then
        local id, null = next_id(), box.NULL
        local row = { id, name, messages, bytes and new_bytes or null, bytes or null, bytes and now_ms or null }
        if span ~= nil then row[field.subject_id], row[field.first], row[field.last] = unpack(span) end
        store.insert("mts_objects", row)
        return id, span ~= nil
    end
    local changes = { { "+", field.messages, messages } }
    if bytes == nil then
        changes[2], changes[3] = { "=", field.committed, box.NULL }, { "=", field.alive, box.NULL }
    elseif found[field.alive] ~= nil then
        changes[2], changes[3] = { "+", field.committed, new_bytes }, { "+", field.alive, bytes }
        if new_bytes > 0 then changes[4] = { "=", field.committed_at, now_ms } end
    end
    store.update("mts_objects", found[field.id], changes)
    return tonumber(found[field.id]), false
end

--- Counts what messages one transaction brings. `names` are the objects by their places.
function M.tally(names)
    return { names = names, runs = {}, by_key = {} }
end

--- Messages of one subject in one object, no two of them far from each other.
local function new_run(tally, place, lane, sequence)
    local run = {
        place = place, lane = lane, first = sequence, last = sequence, messages = 0, bytes = 0, new_bytes = 0,
    }
    tally.runs[#tally.runs + 1] = run
    return run
end

--- Adds a message to a tally. `lane` stands for its subject, `sequence` is nil for one that waits aside; sequences of a
-- lane come in ascending order. `bytes` is nil where that is not known; `new_bytes` were not in the object before.
function M.add(tally, place, lane, sequence, bytes, new_bytes)
    if place == 0 then return end
    local key = lane * 2 ^ 24 + place
    local run = tally.by_key[key]
    if run == nil or sequence ~= nil and sequence > run.last + 1 + gap_max then
        run = new_run(tally, place, lane, sequence)
        tally.by_key[key] = run
    end
    run.last = sequence
    run.messages = run.messages + 1
    if bytes == nil then
        run.is_unknown = true
    else
        run.bytes = run.bytes + bytes
        run.new_bytes = run.new_bytes + new_bytes
    end
end

--- The runs of a tally, summed up by the places of their objects.
local function sums_of(tally)
    local sums = {}
    for _, run in ipairs(tally.runs) do
        local sum = sums[run.place]
        if sum == nil then
            sum = { messages = 0, bytes = 0, new_bytes = 0 }
            sums[run.place] = sum
        end
        sum.messages = sum.messages + run.messages
        sum.bytes, sum.new_bytes = sum.bytes + run.bytes, sum.new_bytes + run.new_bytes
        sum.is_unknown = sum.is_unknown or run.is_unknown
        if sum.run == nil and run.first ~= nil and not run.is_unknown then sum.run = run end
    end
    return sums
end

--- Writes a tally; answers the ids of the objects by their places. `subject_id_of(lane)` is asked for the subjects.
function M.save(tally, subject_id_of, now_ms)
    local ids, sums = { [0] = store.no_object }, sums_of(tally)
    local may_be_dead = dead.count() > 0
    for place, name in ipairs(tally.names) do
        local sum = sums[place]
        if sum ~= nil then
            if may_be_dead and dead.state_of(name) ~= nil then dead.revive(name) end
            local run = sum.run
            local span = run and { subject_id_of(run.lane), run.first, run.last }
            local bytes = not sum.is_unknown and sum.bytes or nil
            local is_noted
            ids[place], is_noted = M.refer(name, sum.messages, bytes, sum.new_bytes, now_ms, span)
            if is_noted then run.is_noted = true end
        end
    end
    for _, run in ipairs(tally.runs) do
        if run.first ~= nil and not run.is_unknown and not run.is_noted then
            M.note_span(ids[run.place], subject_id_of(run.lane), run.first, run.last)
        end
    end
    return ids
end

-- What messages go --------------------------------------------------------------------------------------------------

local function forget_spans(object_id)
    while true do
        local rows = box.space.mts_spans:select({ object_id }, { limit = 1000 })
        for _, row in ipairs(rows) do store.delete("mts_spans", { object_id, row[2], row[3] }) end
        if #rows < 1000 then return end
    end
end

--- Counts so many messages and bytes less in an object; with the last message it is dead from `dead_at` on.
function M.release(id, messages, bytes, dead_at)
    local found = box.space.mts_objects:get(id)
    if found == nil then return end
    if found[field.messages] <= messages then
        forget_spans(id)
        store.delete("mts_objects", id)
        dead.add(found[field.name], math.max(dead_at, tonumber(found[field.linger_until] or 0)), found[field.committed])
        return
    end
    local changes = { { "-", field.messages, messages } }
    local alive = found[field.alive]
    if alive ~= nil then changes[2] = { "=", field.alive, math.max(0, tonumber(alive) - bytes) } end
    store.update("mts_objects", id, changes)
end

--- Collects what messages go from, that a transaction deletes or moves: `add(object id, bytes there)` each,
-- `finish(dead_at)` at the end.
function M.releasing()
    local messages, bytes = {}, {}
    local M_release, no_object = M.release, store.no_object
    return {
        add = function(id, stored_length)
            if id == no_object then return end
            messages[id] = (messages[id] or 0) + 1
            bytes[id] = (bytes[id] or 0) + stored_length
        end,
        finish = function(dead_at)
            for id, count in pairs(messages) do M_release(id, count, bytes[id], dead_at) end
        end,
    }
end

--- Sets one of the last fields of an object's row.
local function set(id, place, value)
    local row = box.space.mts_objects:get(id)
    if row == nil then return end
    local fields = row:totable()
    for missing = #row + 1, place - 1 do fields[missing] = box.NULL end
    fields[place] = value
    store.replace("mts_objects", fields)
end

--- Hands an object out until a time.
function M.lease(id, until_ms)
    set(id, field.leased_until, until_ms)
end

--- Makes an object that dies sooner die at that time.
function M.linger(id, until_ms)
    set(id, field.linger_until, until_ms)
end

-- What messages are there ---------------------------------------------------------------------------------------------

--- The spans of an object as `{subject id, first, last}`, in ascending order; they may overlap.
function M.spans(object_id)
    local found = {}
    local function add(subject_id, first, last)
        found[#found + 1] = { tonumber(subject_id), tonumber(first), tonumber(last) }
    end
    local object = box.space.mts_objects:get(object_id)
    if object ~= nil and object[field.subject_id] ~= nil then
        add(object[field.subject_id], object[field.first], object[field.last])
    end
    for _, row in box.space.mts_spans:pairs({ object_id }, { iterator = "EQ" }) do add(row[2], row[3], row[4]) end
    table.sort(found, function(a, b)
        if a[1] ~= b[1] then return a[1] < b[1] end
        return a[2] < b[2]
    end)
    return found
end

local function visit_between(subject_id, first, last, object_id, visit)
    for _, row in box.space.mts_messages:pairs({ subject_id, first }, { iterator = "GE" }) do
        if row[store.message.subject_id] ~= subject_id or row[store.message.sequence] > last then return end
        if row[store.message.object_id] == object_id then visit(row) end
    end
end

--- Calls `visit(row)` for each stored message that points into an object, once, subject by subject in ascending order.
function M.each_message(object_id, visit)
    local subject_id, subject, through
    for _, span in ipairs(M.spans(object_id)) do
        if span[1] ~= subject_id then
            subject_id, through = span[1], 0
            subject = store.subject_by_id(subject_id)
        end
        if subject ~= nil then
            local first = math.max(span[2], through + 1, subject.first)
            local last = math.min(span[3], subject.last)
            -- Below the beginning there are only rows on their way out.
            if first <= last then visit_between(subject_id, first, last, object_id, visit) end
            through = math.max(through, last)
        end
    end
end

return M
