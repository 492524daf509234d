--- Sets the retention policy of a filter. Takes `{filter, max_age_ms or null, max_messages or null, max_bytes or null,
-- discard}`, answers `created`, `same` or `replaced`.

local capacity = require("mts.capacity")
local policies = require("mts.policies")

local M = {}

function M.run(_, request)
    capacity.check()
    return policies.put(request[1], request[2], request[3], request[4], request[5])
end

return M
