--- Deletes what policies no longer keep, in the subjects after a name. Takes `{after, limit}`; looks at no more than
-- `limit` subjects. Answers `{messages deleted, name to go on after or null}`.

local number = require("mts.number")
local policies = require("mts.policies")
local retention = require("mts.retention")
local store = require("mts.store")

local M = {}

function M.run(context, request)
    local after, limit = request[1], number.uint(request[2], "limit")
    if policies.is_empty() or limit == 0 then return { 0, box.NULL } end
    local rows = box.space.mts_subjects.index.name:select({ after }, { iterator = "GT", limit = limit + 1 })
    local expired = 0
    for place = 1, math.min(#rows, limit) do
        local policy = policies.of(rows[place][2])
        if policy ~= nil then expired = expired + retention.trim(context, store.subject_of(rows[place]), policy) end
    end
    return { expired, #rows > limit and rows[limit][2] or box.NULL }
end

return M
