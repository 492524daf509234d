--- Room for what must always work: commits are refused while the last part of the memory is all that is left, so that
-- purges, acknowledgements and what they write still find some.

local errors = require("mts.errors")

local M = {}

--- What is kept back of the memory for rows: a part, and some bytes in any case.
local reserved_part, reserved_bytes = 1 / 32, 4 * 2 ^ 20
--- Rows and indexes each take memory in pieces of this size.
local piece_bytes = 16 * 2 ^ 20

--- Bytes of rows, and how many there may be.
function M.rows()
    local info = box.slab.info()
    local used = tonumber(info.items_used)
    local index_bytes = tonumber(info.arena_used) - used
    local index_pieces = math.max(1, math.ceil(index_bytes / piece_bytes))
    local row_pieces = math.floor(tonumber(info.quota_size) / piece_bytes) - index_pieces
    return used, row_pieces * piece_bytes * (1 - reserved_part) - reserved_bytes
end

--- Whether more than the reserve is left.
function M.is_left()
    local used, limit = M.rows()
    return used <= limit
end

--- Raises `storage_full` when only the reserve is left.
function M.check()
    if not M.is_left() then
        errors.raise("storage_full", "memtx_memory is used up: delete messages or give the instance more")
    end
end

return M
