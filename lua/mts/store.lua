--- The spaces and their rows: the only file that knows the order of the fields. Every change goes through `insert`,
-- `replace`, `update` and `delete` of this file, so that a call knows whether it changed anything.
--
-- What is worth knowing of the rows:
-- * The messages of a subject are exactly first … last, without holes, because only prefixes are deleted. Rows below
--   `first` are garbage on its way out, never shown.
-- * `bytes_through` is the running sum of body lengths in the subject, so that the bytes that a purge takes away are
--   one look-up. A message of which only the object's name is known has no length and no digest, and counts 0 there;
--   once measured its length is in `mts_measured` and in the subject's `late_bytes`.
-- * `objects.messages` counts the rows that point into an object; at 0 its name goes to `dead`, in the same
--   transaction, where `taken_until` is 0 until it is handed out for deletion.
-- * `pending` has the leased and nacked messages of explicit consumers, `ahead` what was acknowledged beyond
--   `delivered_through`; `consumers.held` counts the rows of `pending`.

local wire = require("mts.wire")

local M = {}

--- Whether anything was written since it was set to false.
M.changed = false

function M.insert(space, tuple)
    M.changed = true
    return box.space[space]:insert(tuple)
end

function M.replace(space, tuple)
    M.changed = true
    return box.space[space]:replace(tuple)
end

function M.update(space, key, operations)
    M.changed = true
    return box.space[space]:update(key, operations)
end

function M.delete(space, key)
    M.changed = true
    return box.space[space]:delete(key)
end

local function number_of(value)
    return tonumber(value)
end

-- Messages ------------------------------------------------------------------------------------------------------

--- Fields of a message row, for reading them without making a table of it.
M.message = {
    subject_id = 1, sequence = 2, timestamp = 3, object_id = 4, bytes_through = 5, offset = 6, length = 7, sha256 = 8,
    headers = 9,
}

--- Builds a message row. `length` and `sha256` are nil when only the object's name is known, `headers` is a flat array
-- of names and values or nil.
local function build_message(subject_id, sequence, timestamp, object_id, bytes_through, offset, length, sha256, headers)
    wire.reset()
    wire.array(headers == nil and 8 or 9)
    wire.uint(subject_id)
    wire.uint(sequence)
    wire.uint(timestamp)
    wire.uint(object_id)
    wire.uint(bytes_through)
    wire.uint(offset)
    if length == nil then
        wire.null()
        wire.null()
    else
        wire.uint(length)
        wire.binary(sha256)
    end
    if headers ~= nil then wire.flat_map(headers) end
end

--- Inserts a message; see `build_message`.
function M.insert_message(...)
    M.changed = true
    build_message(...)
    wire.insert(box.space.mts_messages.id)
end

--- Writes a message over itself; see `build_message`.
function M.replace_message(...)
    M.changed = true
    build_message(...)
    wire.replace(box.space.mts_messages.id)
end

--- A map of headers as the flat array that `build_message` takes; nil when there are none.
function M.flat_headers(map)
    if map == nil or next(map) == nil then return nil end
    local flat = {}
    for name, value in pairs(map) do
        flat[#flat + 1] = name
        flat[#flat + 1] = value
    end
    return flat
end

-- Subjects ------------------------------------------------------------------------------------------------------

local function subject_of(tuple)
    if tuple == nil then return nil end
    return {
        id = number_of(tuple[1]),
        name = tuple[2],
        first = number_of(tuple[3]),
        last = number_of(tuple[4]),
        body_bytes = number_of(tuple[5]),
        purged_bytes = number_of(tuple[6]),
        late_bytes = number_of(tuple[7]),
        late_purged = number_of(tuple[8]),
        created_at = number_of(tuple[9]),
        published_at = number_of(tuple[10]),
    }
end
M.subject_of = subject_of

--- A subject, or nil when nobody published to it.
function M.subject(name)
    return subject_of(box.space.mts_subjects.index.name:get(name))
end

function M.subject_by_id(id)
    return subject_of(box.space.mts_subjects:get(id))
end

--- First and last of a subject; nobody published: 1, 0.
function M.head(subject)
    if subject == nil then return 1, 0 end
    return subject.first, subject.last
end

--- Bytes of the stored bodies.
function M.stored_bytes(subject)
    return subject.body_bytes - subject.purged_bytes + subject.late_bytes - subject.late_purged
end

local function next_id(index)
    local newest = index:max()
    return newest == nil and 1 or number_of(newest[1]) + 1
end

--- A subject with its first messages, all of one time; answers its id.
function M.insert_subject(name, last, body_bytes, timestamp)
    local id = next_id(box.space.mts_subjects.index.id)
    M.insert("mts_subjects", { id, name, 1, last, body_bytes, 0, 0, 0, timestamp, timestamp })
    return id
end

--- Moves the end of a subject.
function M.advance_subject(id, last, body_bytes, timestamp)
    M.update("mts_subjects", id, { { "=", 4, last }, { "=", 5, body_bytes }, { "=", 10, timestamp } })
end

-- Objects -------------------------------------------------------------------------------------------------------

--- Stands for the object name "" of an empty body.
M.no_object = 0

--- Counts so many more messages in an object and answers its id.
function M.refer(name, messages)
    if name == "" then return M.no_object end
    local found = box.space.mts_objects.index.name:get(name)
    if found ~= nil then
        M.update("mts_objects", found[1], { { "+", 3, messages } })
        return number_of(found[1])
    end
    local id = next_id(box.space.mts_objects.index.id)
    M.insert("mts_objects", { id, name, messages })
    return id
end

--- Counts so many messages less in an object; forgets it at 0, and answers its name then.
function M.release(id, messages)
    local found = box.space.mts_objects:get(id)
    if found == nil then return nil end
    if found[3] <= messages then
        M.delete("mts_objects", id)
        return found[2]
    end
    M.update("mts_objects", id, { { "-", 3, messages } })
    return nil
end

--- Whether a message points into the object.
function M.is_referenced(name)
    local found = box.space.mts_objects.index.name:get(name)
    return found ~= nil and found[3] > 0
end

function M.object_name(id)
    if id == M.no_object then return "" end
    local found = box.space.mts_objects:get(id)
    return found == nil and "" or found[2]
end

return M
