--- Hands out objects that nothing points into since a while, the oldest first, each to one caller at a time. Takes
-- `{limit, min_age_ms, lease_ms, with_bytes}`, answers names; with `with_bytes` `{names, bytes}`, where bytes are null
-- of what was handed out before, and where they are not known.

local dead = require("mts.dead")
local number = require("mts.number")

local M = {}

--- Names in one answer.
local limit_max = 10000

function M.run(context, request)
    local limit = math.min(number.uint(request[1], "limit"), limit_max)
    local min_age_ms, lease_ms = number.uint(request[2], "min_age_ms"), number.uint(request[3], "lease_ms")
    local now_ms = context.now_ms
    local names, bytes = dead.take(limit, now_ms - min_age_ms, now_ms, now_ms + lease_ms)
    if request[4] == true then return { names, bytes } end
    return names
end

return M
