--- The spaces and their rows: the only file that knows the order of the fields. Every change goes through `insert`,
-- `replace`, `update` and `delete` of this file, so that a call knows whether it changed anything.
--
-- What is worth knowing of the rows:
-- * The messages of a subject are first … last without what is in a range of `gone`; the first is always there unless
--   the subject is empty. Rows below `first` are garbage on its way out, never shown.
-- * `bytes_through` is the running sum of body lengths in the subject, so that the bytes that a purge takes away are
--   one look-up. A message of which only the object's name is known has no length and no digest, and counts 0 there;
--   once measured its length is in `mts_measured` and in the subject's `late_bytes`.
-- * `objects.messages` counts the rows that point into an object, those of `delayed` too (see `mts.objects`); at 0 its
--   name goes to `dead`, in the same transaction, where `taken_until` is 0 until it is handed out for deletion.
-- * `pending` has the leased and nacked messages of explicit consumers, `ahead` what was acknowledged beyond
--   `delivered_through`; `consumers.held` counts the rows of `pending`. `pending.error` is what the last nack said.

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

--- A number of a field that may be empty or missing; nil then.
function M.optional(value)
    if value == nil then return nil end
    return tonumber(value)
end

-- Messages ------------------------------------------------------------------------------------------------------

--- Fields of a message row, for reading them without making a table of it.
M.message = {
    subject_id = 1, sequence = 2, timestamp = 3, object_id = 4, bytes_through = 5, offset = 6, length = 7, sha256 = 8,
    headers = 9, expires_at = 10, stored_length = 11,
}

--- Fields that a row ends with: the last ones are left out where they are nil, so that they cost nothing then.
local function fields_of(headers, expires_at, stored_length)
    if stored_length ~= nil then return 11 end
    if expires_at ~= nil then return 10 end
    return headers == nil and 8 or 9
end

--- Builds a message row. `length` and `sha256` are nil when only the object's name is known, `headers` is a flat array
-- of names and values or nil, `expires_at` and `stored_length` may be nil.
local function build_message(subject_id, sequence, timestamp, object_id, bytes_through, offset, length, sha256, headers,
    expires_at, stored_length)
    local fields = fields_of(headers, expires_at, stored_length)
    wire.reset()
    wire.array(fields)
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
    if fields == 8 then return end
    if headers == nil then wire.null() else wire.flat_map(headers) end
    if fields == 9 then return end
    if expires_at == nil then wire.null() else wire.uint(expires_at) end
    if stored_length ~= nil then wire.uint(stored_length) end
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

--- Deletes a message; answers nil when there was none, else its object, the bytes that its body takes there, when it
-- expires or nil, its length (0 while that is unknown) and the running sum through it.
function M.delete_message(subject_id, sequence)
    wire.reset()
    wire.array(2)
    wire.uint(subject_id)
    wire.uint(sequence)
    local row = wire.delete(box.space.mts_messages.id)
    if row == nil then return nil end
    M.changed = true
    local of, field = wire.field_of, M.message
    local length = of(row, field.length) or 0
    return of(row, field.object_id), of(row, field.stored_length) or length, of(row, field.expires_at), length,
        of(row, field.bytes_through)
end

--- Deletes when a message expires.
function M.delete_expiring(subject_id, expires_at, sequence)
    wire.reset()
    wire.array(3)
    wire.uint(subject_id)
    wire.uint(expires_at)
    wire.uint(sequence)
    if wire.delete(box.space.mts_expiring.id) ~= nil then M.changed = true end
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
        -- Of the ranges of `gone`; rows from before there were any have nothing there.
        gone_messages = M.optional(tuple[11]) or 0,
        gone_bytes = M.optional(tuple[12]) or 0,
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
    return subject.body_bytes - subject.purged_bytes + subject.late_bytes - subject.late_purged - subject.gone_bytes
end

--- How many messages are stored.
function M.stored_messages(subject)
    return subject.last - subject.first + 1 - subject.gone_messages
end

local function next_id(index)
    local newest = index:max()
    return newest == nil and 1 or number_of(newest[1]) + 1
end

--- A subject with its first messages, all of one time; answers its id.
function M.insert_subject(name, last, body_bytes, timestamp)
    local id = next_id(box.space.mts_subjects.index.id)
    M.insert("mts_subjects", { id, name, 1, last, body_bytes, 0, 0, 0, timestamp, timestamp, 0, 0 })
    return id
end

--- Moves the end of a subject.
function M.advance_subject(id, last, body_bytes, timestamp)
    M.update("mts_subjects", id, { { "=", 4, last }, { "=", 5, body_bytes }, { "=", 10, timestamp } })
end

--- Saves where a subject begins and what is gone from it.
function M.save_beginning(subject)
    M.update("mts_subjects", subject.id, {
        { "=", 3, subject.first }, { "=", 6, subject.purged_bytes }, { "=", 7, subject.late_bytes },
        { "=", 8, subject.late_purged }, { "=", 11, subject.gone_messages }, { "=", 12, subject.gone_bytes },
    })
end

-- Objects -------------------------------------------------------------------------------------------------------

--- Stands for the object name "" of an empty body.
M.no_object = 0

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
