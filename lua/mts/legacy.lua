--- The functions of the first generation, with their names, argument order and result shapes, for connectors that call
-- them directly. They go through the same verbs as everything else: what is published here wakes subscribers, and what
-- was published elsewhere is fetched here.
--
-- A message is `[sequence, headers, object_name, subject, create_at, offset, length, sha256, timestamp]`: `create_at`
-- in whole seconds, `timestamp` in milliseconds, `offset` and `length` in bytes inside the object. Length and digest
-- are null while only the object's name is known.

local digest = require("digest")
local errors = require("mts.errors")
local clock = require("mts.clock")
local gone = require("mts.gone")
local names = require("mts.names")
local page = require("mts.page")
local number = require("mts.number")
local store = require("mts.store")
local wire = require("mts.wire")
local retention = require("mts.retention")
local writer = require("mts.writer")
local consumers = require("mts.consumers")
local delivery = require("mts.delivery")
local commit = require("mts.verb.commit")
local pull = require("mts.verb.pull")
local ack = require("mts.verb.ack")
local settling = require("mts.settling")

local M = {}

local batch_default, batch_max = 10, 10000
local body_bytes_max = number.max
local empty_digest = digest.sha256("")

--- A batch size as it was always read: 10 when it says nothing.
local function batch_of(raw)
    if type(raw) == "cdata" and raw ~= nil then raw = tonumber(raw) end
    if type(raw) ~= "number" or raw < 1 then return batch_default end
    return math.min(math.floor(raw), batch_max)
end

local function pack_message(subject_name, row, object_names)
    local field = store.message
    local headers = row[field.headers]
    local timestamp = tonumber(row[field.timestamp])
    wire.array(9)
    wire.uint(tonumber(row[field.sequence]))
    local flat = store.flat_headers(headers)
    if flat == nil then wire.map(0) else wire.flat_map(flat) end
    wire.text(object_names[tonumber(row[field.object_id])] or "")
    wire.text(subject_name)
    wire.uint(math.floor(timestamp / 1000))
    wire.uint(tonumber(row[field.offset]))
    if row[field.length] == nil then
        wire.null()
        wire.null()
    else
        wire.uint(tonumber(row[field.length]))
        wire.binary(row[field.sha256])
    end
    wire.uint(timestamp)
end

--- Messages as one array; a tuple, because digests are binary. `objects` is as `mts.page` answers it.
local function messages_of(subject_name, rows, objects)
    local object_names = { [store.no_object] = "" }
    for place = 1, #objects, 2 do object_names[objects[place]] = objects[place + 1] end
    wire.reset()
    wire.array(#rows)
    for _, row in ipairs(rows) do pack_message(subject_name, row, object_names) end
    return wire.tuple(wire.built())
end

local function bounds_of(batch_size)
    return { limit = batch_of(batch_size), body_bytes_max = body_bytes_max }
end

local functions = {}
M.functions = {}

--- `grpc_publish(subject, object_name, headers)` → `{sequence, status_code, error_message}`; 0 is success, 1 failure.
function functions.grpc_publish(subject, object_name, headers)
    local done, answer = pcall(function()
        names.subject(subject)
        local object, flat = names.object(object_name), names.headers(headers)
        local is_empty = object == ""
        local entry = {
            1, is_empty and 0 or 1, 0, is_empty and 0 or box.NULL, is_empty and empty_digest or box.NULL,
            flat or box.NULL, box.NULL, box.NULL,
        }
        return writer.write(function(context)
            local _, firsts, exceptions = unpack(commit.run(context, { 0, { subject }, { object }, entry }))
            local refusal = exceptions[2] and exceptions[2][1]
            if refusal == commit.subject_full then errors.raise("subject_full", "the subject has no room for it") end
            if refusal == commit.object_gone then
                errors.raise("object_gone", "the object is being deleted: publish under another name")
            end
            -- Committed, as the first of its subject in this call.
            return firsts[1]
        end)
    end)
    if done then return { sequence = answer, status_code = 0, error_message = box.NULL } end
    local _, reason = errors.public(answer)
    return { sequence = 0, status_code = 1, error_message = reason }
end

local function last_of(subject)
    writer.settle()
    local _, last = store.head(store.subject(names.subject(subject)))
    return last
end

--- `grpc_get_last_sequence(subject)` → `{last_sequence}`; 0 when nobody published.
function functions.grpc_get_last_sequence(subject)
    return { last_sequence = last_of(subject) }
end

--- `get_latest_sequence_for_subject(subject)` → number.
function functions.get_latest_sequence_for_subject(subject)
    return last_of(subject)
end

--- `grpc_fetch(subject, durable_name, batch_size, auto_ack)` → messages after the position. Without `auto_ack` the same
-- come again until they are acknowledged.
function functions.grpc_fetch(subject, durable_name, batch_size, auto_ack)
    names.subject(subject)
    names.consumer(durable_name)
    local request = { subject, durable_name, batch_of(batch_size), body_bytes_max, auto_ack == true, true }
    return writer.write(function(context)
        local outcome, answer = pull.run(context, request)
        answer = answer or delivery.render(outcome)
        return messages_of(subject, answer[9], answer[10])
    end)
end

--- `grpc_peek(subject, durable_name, batch_size)` → the messages that a fetch would give; nothing changes.
function functions.grpc_peek(subject, durable_name, batch_size)
    names.subject(subject)
    names.consumer(durable_name)
    writer.settle()
    local consumer = consumers.find(subject, durable_name) or consumers.unmade(subject, durable_name)
    local plan = delivery.plan(consumer, bounds_of(batch_size), false, clock.now_ms())
    return messages_of(subject, plan.rows, page.objects(plan.rows))
end

--- `grpc_ack(durable_name, subject, sequence)` → whether everything through the sequence is acknowledged now. Backwards
-- changes nothing, beyond the last sequence is refused, an unknown consumer is made.
function functions.grpc_ack(durable_name, subject, sequence)
    names.consumer(durable_name)
    names.subject(subject)
    local through = number.uint(sequence, "sequence")
    return writer.write(function(context)
        if through > select(2, store.head(store.subject(subject))) then return false end
        if consumers.find(subject, durable_name) == nil then
            consumers.make(subject, durable_name, consumers.defaults, context.now_ms)
        end
        return ack.apply(context, subject, durable_name, through, nil)[1] == settling.done
    end)
end

local function shown(name)
    return retention.subject(name, clock.now_ms())
end

local function position_of(name, consumer_name, subject)
    local consumer = consumers.find(name, consumer_name)
    if consumer == nil then return 0 end
    return consumers.position(consumer, subject, clock.now_ms())
end

--- `check_new_messages(subject, consumer_group)` → `{has_new, latest_sequence, consumer_position, new_count}`.
function functions.check_new_messages(subject, consumer_group)
    names.subject(subject)
    names.consumer(consumer_group)
    writer.settle()
    local row = shown(subject)
    local position = position_of(subject, consumer_group, row)
    local count = gone.stored_after(row, position)
    local _, last = store.head(row)
    return { has_new = count > 0, latest_sequence = last, consumer_position = position, new_count = count }
end

--- `get_new_messages_count(subject, durable_name, since_sequence)` → messages after a sequence, or after the consumer's
-- position when none is given.
function functions.get_new_messages_count(subject, durable_name, since_sequence)
    names.subject(subject)
    names.consumer(durable_name)
    writer.settle()
    local since = number.optional(since_sequence, "since_sequence")
    local row = shown(subject)
    return gone.stored_after(row, since or position_of(subject, durable_name, row))
end

--- `get_subject_message_count(subject)` → messages that are stored.
function functions.get_subject_message_count(subject)
    names.subject(subject)
    writer.settle()
    return gone.stored_after(shown(subject), 0)
end

for name, run in pairs(functions) do
    M.functions[name] = function(...)
        local arguments, count = { ... }, select("#", ...)
        local done, answer = pcall(writer.prepared, function() return run(unpack(arguments, 1, count)) end)
        if not done then errors.rethrow(answer) end
        return answer
    end
end

return M
