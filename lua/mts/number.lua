--- Whole numbers. The database hands over those above 10^14 as 64-bit cdata, which LuaJIT compares and adds, but
-- neither finds in a table nor formats like a number; here they become numbers, exactly or not at all.

local errors = require("mts.errors")

local M = {}

--- Largest sequence, offset and length: 2^53-1.
M.max = 9007199254740991
local max64 = 9007199254740991ULL

--- A whole number from 0 to 2^53-1, or a `malformed` error that names it.
function M.uint(value, name)
    if type(value) == "cdata" then
        local known, is_exact = pcall(function() return value >= 0 and value <= max64 end)
        if known and is_exact then return tonumber(value) end
    elseif type(value) == "number" and value >= 0 and value <= M.max and value % 1 == 0 then
        return value
    end
    errors.raise("malformed", name .. " must be a whole number from 0 to 2^53-1")
end

--- Like `uint`, nil for null.
function M.optional(value, name)
    if value == nil then return nil end
    return M.uint(value, name)
end

return M
