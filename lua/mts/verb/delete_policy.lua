--- Takes the retention policy of a filter away. Takes `{filter}`, answers the policy it had, as `mts.verb.policies`
-- does, or null.

local policies = require("mts.policies")

local M = {}

function M.run(_, request)
    local found = policies.remove(request[1])
    return found == nil and box.NULL or policies.told(found)
end

return M
