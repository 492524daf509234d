--- A page of messages from a sequence on. Takes `{subject, from, limit, body_bytes_max}`, answers `{first, last, rows,
-- objects}`; a row is as it is stored, `objects` is `{id, name, id, name …}`.

local clock = require("mts.clock")
local retention = require("mts.retention")
local store = require("mts.store")
local page = require("mts.page")
local number = require("mts.number")

local M = {}

function M.run(request)
    local subject = retention.subject(request[1], clock.now_ms())
    local first, last = store.head(subject)
    if subject == nil then return { first, last, {}, {} } end
    local limit, body_bytes_max = number.uint(request[3], "limit"), number.uint(request[4], "body_bytes_max")
    local meter = page.meter(limit, body_bytes_max)
    local rows = page.collect({}, subject, number.uint(request[2], "from"), meter, limit)
    return { first, last, rows, page.objects(rows) }
end

return M
