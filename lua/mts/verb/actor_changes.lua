--- How the rows of an actor have changed since a mark. Takes `{name, mark or null, limit}`, answers `{mark of now, rows
-- or null, keys of those that are not there}`: null when it is not known, or they are more than `limit`.

local actors = require("mts.actors")
local number = require("mts.number")
local row_log = require("mts.row_log")

local M = {}

--- Rows in one answer.
local limit_max = 10000

function M.run(request)
    local actor, since = actors.find(request[1]), request[2]
    local mark = row_log.mark(actor)
    local limit = math.min(number.uint(request[3], "limit"), limit_max)
    local keys = since ~= nil and row_log.since(actor, since, limit) or nil
    if keys == nil then return { mark, box.NULL, {} } end
    local rows, gone = {}, {}
    for _, key in ipairs(keys) do
        local row = actors.row(actor, key)
        if row == nil then gone[#gone + 1] = key else rows[#rows + 1] = row end
    end
    return { mark, rows, gone }
end

return M
