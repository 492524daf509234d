--- Commits messages over any number of subjects: first every message is decided on, then the heads are written, then
-- the rows. Heads first, so that a log that was cut off shows heads without rows, which the check at boot finds, and
-- never gives a sequence out twice.
--
-- Takes `{window_ms, subjects, objects, entries, extras}`; eight items an entry: place of its subject, place of its
-- object (0: none), offset, length, SHA-256, headers (flat, or null), message id or null, expected last sequence or
-- null. `extras` (or null) has what few entries have, in their order, five items each: place of the entry, stored
-- length or null, time to live in milliseconds or null, delay in milliseconds or null, time of delivery or null.
-- Answers `{times, firsts, exceptions}`: the time and the first new sequence of each subject, whose committed entries
-- have consecutive sequences in their order, and `{place, outcome, place, outcome …}` for the entries that were not
-- committed: `{1, sequence, timestamp}` for a duplicate, `{2, last}` for a wrong last sequence, `{3}` where the policy
-- of the subject has no room, `{4}` when the object is being deleted, `{5, id, due at, duplicate}` for one that is kept
-- aside until it is due. Short, as it is remembered for a while.

local store = require("mts.store")
local errors = require("mts.errors")
local number = require("mts.number")
local message_ids = require("mts.message_ids")
local capacity = require("mts.capacity")
local dead = require("mts.dead")
local objects = require("mts.objects")
local expiring = require("mts.expiring")
local policies = require("mts.policies")
local retention = require("mts.retention")
local scheduling = require("mts.scheduling")
local feed = require("mts.feed")
local wire = require("mts.wire")

local M = {}

local items_per_entry = 8
local items_per_extra = 5
local duplicate, wrong_last, subject_full, object_gone = 1, 2, 3, 4
M.wrong_last, M.subject_full, M.object_gone = wrong_last, subject_full, object_gone

local function open_lane(context, name)
    retention.cut_expired(context, name)
    local subject, now_ms = store.subject(name), context.now_ms
    return {
        name = name,
        id = subject and subject.id,
        -- The clock may have been set back; the subject's time is not.
        timestamp = math.max(now_ms, subject and subject.published_at or 0),
        last = subject and subject.last or 0,
        first_new = (subject and subject.last or 0) + 1,
        body_bytes = subject and subject.body_bytes or 0,
        -- What is stored, as the last sequence and the bytes of bodies less these.
        gone_messages = subject and subject.last - store.stored_messages(subject) or 0,
        gone_bytes = subject and subject.body_bytes - store.stored_bytes(subject) or 0,
        policy = policies.of(name),
        message_ids = nil,
    }
end

local function remembered(lane, message_id, window_ms, now_ms)
    local known = lane.message_ids and lane.message_ids[message_id]
    if known then return { duplicate, known, lane.timestamp } end
    if lane.id == nil then return nil end
    local sequence, timestamp = message_ids.find(lane.id, message_id, window_ms, now_ms)
    return sequence and { duplicate, sequence, timestamp }
end

local function is_full(lane, length)
    local messages, bytes = lane.last - lane.gone_messages, lane.body_bytes - lane.gone_bytes
    return retention.is_full(lane.policy, messages, bytes, length)
end

--- Decides on one entry: its sequence, or what is in its way. `object_state` is that of a dead object.
local function decide(lane, object_state, message_id, expected_last, length)
    if expected_last ~= nil and number.uint(expected_last, "expected_last") ~= lane.last then
        return { wrong_last, lane.last }
    end
    if lane.policy ~= nil and is_full(lane, length or 0) then return { subject_full } end
    if object_state == "taken" then return { object_gone } end
    if lane.last >= number.max then errors.raise("malformed", "the subject has no sequence left") end
    local sequence = lane.last + 1
    lane.last = sequence
    lane.body_bytes = lane.body_bytes + (length or 0)
    if message_id ~= nil then
        lane.message_ids = lane.message_ids or {}
        lane.message_ids[message_id] = sequence
    end
    return sequence
end

local function save_lanes(lanes, changes)
    for _, lane in ipairs(lanes) do
        if lane.last >= lane.first_new then
            if lane.id == nil then
                lane.id = store.insert_subject(lane.name, lane.last, lane.body_bytes, lane.timestamp)
            else
                store.advance_subject(lane.id, lane.last, lane.body_bytes, lane.timestamp)
            end
            changes[#changes + 1] = { feed.moved, lane.name, lane.first_new, lane.last }
        end
    end
end

--- What is known of the objects that are dead.
local function object_states(names)
    local states = {}
    if dead.count() == 0 then return states end
    for place, name in ipairs(names) do states[place] = dead.state_of(name) end
    return states
end

--- What few entries have, by the places of the entries.
local function extras_of(items)
    local extras = {}
    if items == nil then return extras end
    for place = 1, #items, items_per_extra do
        extras[items[place]] = {
            stored_length = number.optional(items[place + 1], "stored_length"),
            ttl_ms = number.optional(items[place + 2], "ttl_ms"),
            delay_ms = number.optional(items[place + 3], "delay_ms"),
            deliver_at = number.optional(items[place + 4], "deliver_at"),
        }
    end
    return extras
end

local none = {}

--- When a message with a time to live is gone; nil when it has none.
local function expires_at(timestamp, ttl_ms)
    return ttl_ms and math.min(timestamp + ttl_ms, number.max)
end

--- Makes room after the fact: the oldest messages of subjects that have too many now go.
local function trim_lanes(context, lanes)
    for _, lane in ipairs(lanes) do
        if lane.policy ~= nil and lane.last >= lane.first_new then
            retention.trim(context, store.subject_by_id(lane.id), lane.policy)
        end
    end
end

--- `is_kept`: the store has the messages already, with their bodies, and under the ids that wait (see `mts.batch`).
function M.run(context, request, is_kept)
    local window_ms = number.uint(request[1], "window_ms")
    local subjects, names, entries = request[2], request[3], request[4]
    local now_ms = context.now_ms
    if #entries == 0 then return { {}, {}, {} } end
    capacity.check()
    local lanes, times, firsts = {}, {}, {}
    for place, name in ipairs(subjects) do
        local lane = open_lane(context, name)
        lanes[place], times[place], firsts[place] = lane, lane.timestamp, lane.first_new
    end

    local count = #entries / items_per_entry
    local sequences, bytes_through = table.new(count, 0), table.new(count, 0)
    local exceptions, tally, states = {}, objects.tally(names), object_states(names)
    local extras, waiting = extras_of(request[5]), {}
    local place = 0
    for index = 1, count do
        local lane, object, length = lanes[entries[place + 1]], entries[place + 2], entries[place + 4]
        length = number.optional(length, "length")
        local message_id, extra, outcome = entries[place + 7], extras[index] or none, nil
        if message_id ~= nil then
            outcome = remembered(lane, message_id, window_ms, now_ms)
                or not is_kept and scheduling.waiting(lane, message_id) or nil
        end
        local due_at = outcome == nil and scheduling.due_at(extra, now_ms)
        if due_at then
            outcome = states[object] == "taken" and { object_gone }
                or scheduling.schedule(waiting, lane, tally, entries, place, extra, due_at)
        end
        outcome = outcome or decide(lane, states[object], message_id, entries[place + 8], length)
        if type(outcome) == "number" then
            sequences[index] = outcome
            bytes_through[index] = lane.body_bytes
            local bytes = extra.stored_length or length
            objects.add(tally, object, entries[place + 1], outcome, bytes, is_kept and 0 or bytes)
        else
            sequences[index] = 0
            exceptions[#exceptions + 1] = index
            exceptions[#exceptions + 1] = outcome
        end
        place = place + items_per_entry
    end

    save_lanes(lanes, context.changes)
    local object_ids = objects.save(tally, function(lane) return lanes[lane].id end, now_ms)
    scheduling.save(waiting, object_ids)
    local page = message_ids.page(now_ms)
    place = 0
    for index = 1, count do
        local sequence = sequences[index]
        if sequence > 0 then
            local lane, length, digest = lanes[entries[place + 1]], entries[place + 4], entries[place + 5]
            local headers, message_id = entries[place + 6], entries[place + 7]
            if length == nil then
                length, digest = nil, nil
            else
                length, digest = number.uint(length, "length"), wire.digest(digest)
            end
            if headers == nil then headers = nil end
            local object_id, offset = object_ids[entries[place + 2]], number.uint(entries[place + 3], "offset")
            local extra = extras[index] or none
            local gone_at = expires_at(lane.timestamp, extra.ttl_ms)
            store.insert_message(lane.id, sequence, lane.timestamp, object_id, bytes_through[index], offset, length,
                digest, headers, gone_at, extra.stored_length)
            if gone_at ~= nil then expiring.note(lane.id, gone_at, sequence) end
            if message_id ~= nil then message_ids.remember(page, lane.id, message_id, sequence, lane.timestamp) end
        end
        place = place + items_per_entry
    end
    trim_lanes(context, lanes)
    -- Who names no window (an old client) does not say that ids are to be forgotten.
    if store.changed and window_ms > 0 then message_ids.clean(page, window_ms) end
    return { times, firsts, exceptions }
end

return M
