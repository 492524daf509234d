--- What changed after a position; waits for it when told to. Takes `{life, version, wait_ms}`, answers `{life, version,
-- now_ms, lost, {subject, first, last, …}, {{subject, consumer, deleted} …}, {{subject, through} …}}`: whatever comes
-- after the position is not older than `now_ms`.

local feed = require("mts.feed")
local number = require("mts.number")

local M = {}

--- Longest wait, in milliseconds.
local wait_ms_max = 60000

function M.run(request)
    local wait_ms = math.min(number.uint(request[3], "wait_ms"), wait_ms_max)
    return feed.after(request[1], number.uint(request[2], "version"), wait_ms)
end

return M
