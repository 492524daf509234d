--- Sets the retention policy of a filter. Takes `{filter, max_age_ms or null, max_messages or null, max_bytes or null,
-- discard, retain, recipients or null, recipient_timeout_ms or null}`: recipients are names in byte order, or how many.
-- Answers `created`, `same` or `replaced`.

local capacity = require("mts.capacity")
local policies = require("mts.policies")

local M = {}

function M.run(context, request)
    capacity.check()
    local items = {}
    for place = 1, 7 do items[place] = request[place + 1] end
    return policies.put(request[1], items, context.now_ms)
end

return M
