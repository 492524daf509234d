--- How far behind the consumers of all subjects are, in byte order of subject and name. Takes `{after_subject,
-- after_name, limit}`, answers `{subject, name, pending, ack_pending, subject …}`.

local consumers = require("mts.consumers")
local number = require("mts.number")

local M = {}

function M.run(request)
    local items = {}
    for _, consumer in ipairs(consumers.list_all(request[1], request[2], number.uint(request[3], "limit"))) do
        local pending, ack_pending = consumers.backlog(consumer)
        items[#items + 1] = consumer.subject
        items[#items + 1] = consumer.name
        items[#items + 1] = pending
        items[#items + 1] = ack_pending
    end
    return items
end

return M
