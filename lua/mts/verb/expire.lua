--- Deletes what policies and times to live no longer keep, in the subjects after a name, settles what has used up its
-- deliveries, and releases what all recipients have acknowledged. Takes `{after, limit}`; looks at no more than `limit`
-- subjects. Answers `{messages deleted, name to go on after or null}`.

local acked = require("mts.acked")
local expiring = require("mts.expiring")
local giving_up = require("mts.giving_up")
local number = require("mts.number")
local policies = require("mts.policies")
local retention = require("mts.retention")
local store = require("mts.store")

local M = {}

--- Messages deleted in one call after which no other subject is begun, and of one subject what is deleted from behind
-- others: some ten milliseconds, so that nobody else waits for long.
local expired_enough = 1000

--- Whether there is anything that could be to do.
local function is_idle()
    return policies.is_empty() and expiring.is_empty() and box.space.mts_pending:len() == 0
end

--- Sweeps one subject; answers how many messages went, and whether that is all.
local function sweep(context, row)
    local name = row[2]
    local subject, policy = store.subject_of(row), policies.of(name)
    local expired, is_all = retention.remove_expired(context, subject, expired_enough)
    if not is_all then return expired, false end
    giving_up.sweep(context, name)
    if policy == nil then return expired, true end
    local released
    released, is_all = acked.release_all(context, subject)
    return expired + released + retention.trim(context, subject, policy), is_all
end

function M.run(context, request)
    local after, limit = request[1], number.uint(request[2], "limit")
    if limit == 0 or is_idle() then return { 0, box.NULL } end
    local rows = box.space.mts_subjects.index.name:select({ after }, { iterator = "GT", limit = limit + 1 })
    local expired = 0
    for place = 1, math.min(#rows, limit) do
        local removed, is_all = sweep(context, rows[place])
        expired = expired + removed
        if not is_all then return { expired, place > 1 and rows[place - 1][2] or after } end
        if place < #rows and (place == limit or expired >= expired_enough) then return { expired, rows[place][2] } end
    end
    return { expired, box.NULL }
end

return M
