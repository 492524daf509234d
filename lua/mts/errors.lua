--- Numbered errors: what leaves a function is a number and a text, and only the number means something.
-- The numbers are part of the protocol with the server (one table there maps them to its own codes).

local log = require("log")

local M = {}

--- Error numbers. A published number never changes its meaning.
M.code = {
    internal = 1,
    storage_full = 2,
    overloaded = 3,
    consumer_not_found = 4,
    --- The call was given up by its caller, or overtaken by a later one in its slot: it did not and will not happen.
    fenced = 5,
    read_only = 6,
    malformed = 7,
    invalid_subject = 8,
    invalid_consumer = 9,
    invalid_header = 10,
    invalid_object = 11,
    sequence_out_of_range = 12,
    wrong_ack_mode = 13,
    too_many_policies = 14,
    subject_full = 15,
    object_gone = 16,
    no_dead_letters = 17,
}

--- Added to a number when it is raised to a connector as an error of the database.
M.base = 10000

--- Raises a numbered error.
function M.raise(name, reason)
    error({ mts = assert(M.code[name], name), reason = reason }, 0)
end

--- Errors of the database that mean something to callers. Names, because not every version has all of them.
local meanings = {
    MEMORY_ISSUE = "storage_full",
    SLAB_ALLOC_MAX = "storage_full",
    MEMTX_MAX_TUPLE_SIZE = "storage_full",
    WAL_IO = "storage_full",
    CASCADE_ROLLBACK = "storage_full",
    READONLY = "read_only",
    READ_ONLY = "read_only",
}

local by_database_code = {}
for name, meaning in pairs(meanings) do
    local known, number = pcall(function() return box.error[name] end)
    if known and type(number) == "number" then by_database_code[number] = M.code[meaning] end
end

--- Errors that have a type and, in some versions, no number.
local by_database_type = { OutOfMemory = M.code.storage_full }

--- Number of an error of the database.
local function number_of(caught)
    local known, code, kind = pcall(function() return caught.code, caught.type end)
    if known then return by_database_code[code] or by_database_type[kind] end
end

--- Number and text of whatever was caught.
function M.describe(caught)
    if type(caught) == "table" and caught.mts ~= nil then return caught.mts, caught.reason end
    local number
    if type(caught) == "cdata" then number = number_of(caught) end
    return number or M.code.internal, tostring(caught)
end

--- Number and text for strangers: what went wrong inside is for the log.
function M.public(caught)
    local number, reason = M.describe(caught)
    if number ~= M.code.internal then return number, reason end
    log.error("a call failed: %s", reason)
    return number, "something went wrong in the database; its log has it"
end

--- Raises what was caught as an error of the database, for connectors.
function M.rethrow(caught)
    local number, reason = M.public(caught)
    box.error({ code = M.base + number, reason = reason })
end

return M
