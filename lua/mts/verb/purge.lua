--- Deletes through a sequence (beyond the end: all): the subject's beginning moves at once, the rows go later, piece by
-- piece. Takes `{subject, through}`, answers how many messages were deleted.

local cutting = require("mts.cutting")
local number = require("mts.number")
local retention = require("mts.retention")
local store = require("mts.store")

local M = {}

function M.run(context, request)
    local name, through = request[1], number.uint(request[2], "through")
    retention.cut_expired(context, name)
    local subject = store.subject(name)
    if subject == nil then return 0 end
    return cutting.cut(context, subject, through)
end

return M
