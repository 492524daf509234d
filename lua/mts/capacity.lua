--- Room for what must always work: commits are refused while the last part of the memory is all that is left, so that
-- purges, acknowledgements and what they write still find some.

local errors = require("mts.errors")

local M = {}

--- Parts of the memory that are kept back.
local reserved_part = 1 / 16

--- Raises `storage_full` when only the reserve is left.
function M.check()
    local info = box.slab.info()
    if tonumber(info.arena_used) > tonumber(info.quota_size) * (1 - reserved_part) then
        errors.raise("storage_full", "memtx_memory is used up: delete messages or give the instance more")
    end
end

return M
