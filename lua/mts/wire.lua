--- Rows and answers as msgpack bytes. Lua knows one kind of string and packs it as text, so what is binary (SHA-256,
-- whole answers) is packed here. The C API of modules takes the bytes; it is the same from 2.6 to 3.x.

local ffi = require("ffi")
local errors = require("mts.errors")
local number = require("mts.number")

-- One by one: the server may have declared some of them itself, and then its declaration stays.
for _, declaration in ipairs({
    "typedef struct tuple_format box_tuple_format_t;",
    "struct tuple;",
    "int box_insert(uint32_t space_id, const char *tuple, const char *tuple_end, struct tuple **result);",
    "int box_replace(uint32_t space_id, const char *tuple, const char *tuple_end, struct tuple **result);",
    "int box_delete(uint32_t space_id, uint32_t index_id, const char *key, const char *end, struct tuple **result);",
    "const char *box_tuple_field(const struct tuple *tuple, uint32_t fieldno);",
    "box_tuple_format_t *box_tuple_format_default(void);",
    "struct tuple *box_tuple_new(box_tuple_format_t *format, const char *data, const char *end);",
    "int box_tuple_ref(struct tuple *tuple);",
    "void box_tuple_unref(struct tuple *tuple);",
}) do
    pcall(ffi.cdef, declaration)
end

local C = ffi.C
local M = {}

-- One buffer for all: a row is built and handed over without giving up the processor in between.
local capacity = 4096
local buffer = ffi.new("uint8_t[?]", capacity)
local length = 0

local function reserve(bytes)
    if length + bytes <= capacity then return end
    while length + bytes > capacity do capacity = capacity * 2 end
    local grown = ffi.new("uint8_t[?]", capacity)
    ffi.copy(grown, buffer, length)
    buffer = grown
end

local floor = math.floor

local function byte(value)
    buffer[length] = value
    length = length + 1
end

local function big_endian(value, bytes)
    for place = bytes - 1, 0, -1 do
        buffer[length + place] = value % 256
        value = floor(value / 256)
    end
    length = length + bytes
end

--- The bytes of a string or, in versions that have it, of a `varbinary`.
function M.bytes(value)
    if type(value) == "string" then return value end
    return tostring(value)
end

--- Starts a row.
function M.reset()
    length = 0
end

function M.null()
    reserve(1)
    byte(0xc0)
end

function M.array(items)
    reserve(3)
    if items < 16 then byte(0x90 + items) else byte(0xdc) big_endian(items, 2) end
end

function M.map(pairs_count)
    reserve(3)
    if pairs_count < 16 then byte(0x80 + pairs_count) else byte(0xde) big_endian(pairs_count, 2) end
end

function M.uint(value)
    reserve(9)
    if value < 0x80 then byte(value)
    elseif value < 0x100 then byte(0xcc) byte(value)
    elseif value < 0x10000 then byte(0xcd) big_endian(value, 2)
    elseif value < 0x100000000 then byte(0xce) big_endian(value, 4)
    else byte(0xcf) big_endian(value, 8) end
end

local function raw(text)
    ffi.copy(buffer + length, text, #text)
    length = length + #text
end

function M.text(value)
    local size = #value
    reserve(size + 5)
    if size < 32 then byte(0xa0 + size)
    elseif size < 0x100 then byte(0xd9) byte(size)
    elseif size < 0x10000 then byte(0xda) big_endian(size, 2)
    else byte(0xdb) big_endian(size, 4) end
    raw(value)
end

function M.binary(value)
    value = M.bytes(value)
    local size = #value
    reserve(size + 5)
    if size < 0x100 then byte(0xc4) byte(size)
    elseif size < 0x10000 then byte(0xc5) big_endian(size, 2)
    else byte(0xc6) big_endian(size, 4) end
    raw(value)
end

--- A map from a flat array of names and values.
function M.flat_map(flat)
    M.map(#flat / 2)
    for place = 1, #flat do M.text(flat[place]) end
end

--- What was built since `reset`.
function M.built()
    return ffi.string(buffer, length)
end

local function hand_over(send, space_id)
    local data = ffi.cast("const char *", buffer)
    if send(space_id, data, data + length, nil) ~= 0 then error(box.error.last(), 0) end
end

--- Inserts the row that was built; a row with the same key is an error.
function M.insert(space_id)
    hand_over(C.box_insert, space_id)
end

--- Writes the row that was built over the one with the same key.
function M.replace(space_id)
    hand_over(C.box_replace, space_id)
end

local deleted = ffi.new("struct tuple *[1]")

--- Deletes the row whose primary key was built; answers it for `field_of`, until the next call of the box, or nil when
-- there was none. Less than half as long as `space:delete` takes, which makes Lua objects of key and row.
function M.delete(space_id)
    local key = ffi.cast("const char *", buffer)
    if C.box_delete(space_id, 0, key, key + length, deleted) ~= 0 then error(box.error.last(), 0) end
    if deleted[0] == nil then return nil end
    return deleted[0]
end

local function from_big_endian(bytes, count)
    local value = 0
    for place = 1, count do value = value * 256 + bytes[place] end
    return value
end

--- A whole number of a row that was deleted; nil where the field is empty or missing.
function M.field_of(row, place)
    local bytes = ffi.cast("const uint8_t *", C.box_tuple_field(row, place - 1))
    if bytes == nil then return nil end
    local head = bytes[0]
    if head < 0x80 then return head end
    if head == 0xc0 then return nil end
    return from_big_endian(bytes, 2 ^ (head - 0xcc))
end

-- How a tuple is referred to differs between versions, so it is asked of one.
local tuple_reference = ffi.typeof(box.tuple.new({}))

local function release(tuple)
    C.box_tuple_unref(ffi.cast("struct tuple *", tuple))
end

--- A tuple of msgpack bytes that are an array. Returned from a function it goes out as it is.
function M.tuple(packed)
    local data = ffi.cast("const char *", packed)
    local tuple = C.box_tuple_new(C.box_tuple_format_default(), data, data + #packed)
    if tuple == nil then error(box.error.last(), 0) end
    C.box_tuple_ref(tuple)
    return ffi.gc(ffi.cast(tuple_reference, tuple), release)
end

--- A tuple of one binary field.
function M.answer(text)
    length = 0
    M.array(1)
    M.binary(text)
    return M.tuple(M.built())
end

--- A digest of 32 bytes as it is stored.
function M.digest(value)
    value = M.bytes(value)
    if #value ~= 32 then errors.raise("malformed", "a SHA-256 has 32 bytes") end
    return value
end

--- A whole number from a request, checked.
M.whole = number.uint

return M
