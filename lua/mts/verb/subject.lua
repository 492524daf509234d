--- All that is known of one subject. Takes `{subject}`, answers `{subject, first, last, messages, bytes, created_at,
-- published_at, consumers}`, or null when nobody ever published to it.

local clock = require("mts.clock")
local retention = require("mts.retention")
local store = require("mts.store")
local consumers = require("mts.consumers")

local M = {}

function M.run(request)
    local subject = retention.subject(request[1], clock.now_ms())
    if subject == nil then return box.NULL end
    return {
        subject.name, subject.first, subject.last, store.stored_messages(subject), store.stored_bytes(subject),
        subject.created_at, subject.published_at, consumers.count(subject.name),
    }
end

return M
