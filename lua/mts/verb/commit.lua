--- Commits messages over any number of subjects: first every message is decided on, then the heads are written, then
-- the rows. Heads first, so that a log that was cut off shows heads without rows, which the check at boot finds, and
-- never gives a sequence out twice.
--
-- Takes `{window_ms, subjects, objects, entries}`; eight items an entry: place of its subject, place of its object (0:
-- none), offset, length, SHA-256, headers (flat, or null), message id or null, expected last sequence or null.
-- Answers `{times, firsts, exceptions}`: the time and the first new sequence of each subject, whose committed entries
-- have consecutive sequences in their order, and `{place, outcome, place, outcome …}` for the entries that were not
-- committed: `{1, sequence, timestamp}` for a duplicate, `{2, last}` for a wrong last sequence, `{3}` where the policy
-- of the subject has no room, `{4}` when the object is being deleted. Short, as it is remembered for a while.

local store = require("mts.store")
local errors = require("mts.errors")
local number = require("mts.number")
local message_ids = require("mts.message_ids")
local capacity = require("mts.capacity")
local dead = require("mts.dead")
local policies = require("mts.policies")
local retention = require("mts.retention")
local feed = require("mts.feed")
local wire = require("mts.wire")

local M = {}

local items_per_entry = 8
local duplicate, wrong_last, subject_full, object_gone = 1, 2, 3, 4
M.subject_full, M.object_gone = subject_full, object_gone

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
        gone_messages = subject and subject.first - 1 or 0,
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
local function decide(lane, object_state, message_id, expected_last, length, window_ms, now_ms)
    if message_id ~= nil then
        local before = remembered(lane, message_id, window_ms, now_ms)
        if before then return before end
    end
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

--- Ids of the objects; each is looked up and counted once.
local function refer_objects(names, counts, states)
    local ids = { [0] = store.no_object }
    for place, name in ipairs(names) do
        if counts[place] then
            if states[place] ~= nil then dead.revive(name) end
            ids[place] = store.refer(name, counts[place])
        end
    end
    return ids
end

--- Makes room after the fact: the oldest messages of subjects that have too many now go.
local function trim_lanes(context, lanes)
    for _, lane in ipairs(lanes) do
        if lane.policy ~= nil and lane.last >= lane.first_new then
            retention.trim(context, store.subject_by_id(lane.id), lane.policy)
        end
    end
end

function M.run(context, request)
    local window_ms = number.uint(request[1], "window_ms")
    local subjects, objects, entries = request[2], request[3], request[4]
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
    local exceptions, object_counts, states = {}, {}, object_states(objects)
    local place = 0
    for index = 1, count do
        local lane, object, length = lanes[entries[place + 1]], entries[place + 2], entries[place + 4]
        length = number.optional(length, "length")
        local outcome = decide(lane, states[object], entries[place + 7], entries[place + 8], length, window_ms, now_ms)
        if type(outcome) == "number" then
            sequences[index] = outcome
            bytes_through[index] = lane.body_bytes
            object_counts[object] = (object_counts[object] or 0) + 1
        else
            sequences[index] = 0
            exceptions[#exceptions + 1] = index
            exceptions[#exceptions + 1] = outcome
        end
        place = place + items_per_entry
    end

    save_lanes(lanes, context.changes)
    local object_ids = refer_objects(objects, object_counts, states)
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
            store.insert_message(lane.id, sequence, lane.timestamp, object_id, bytes_through[index], offset, length,
                digest, headers)
            if message_id ~= nil then message_ids.remember(page, lane.id, message_id, sequence, lane.timestamp) end
        end
        place = place + items_per_entry
    end
    trim_lanes(context, lanes)
    if store.changed then message_ids.clean(page, window_ms) end
    return { times, firsts, exceptions }
end

return M
