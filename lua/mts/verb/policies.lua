--- All retention policies in byte order of their filters: a list of `{filter, max_age_ms, max_messages, max_bytes,
-- discard, retain, recipients, recipient_timeout_ms}`, null where there is no limit.

local policies = require("mts.policies")

local M = {}

function M.run()
    return policies.list()
end

return M
