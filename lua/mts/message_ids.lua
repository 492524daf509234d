--- Message ids that are still remembered. What is older than the window is no duplicate any more, and is removed a
-- bounded piece at a time by the commits that come.

local store = require("mts.store")

local M = {}

--- Old ids that one commit removes at least, when there are so many.
local cleaned_min = 100

--- A time further ahead than the window comes from a clock that was wrong; it would stop the cleaning for good.
local function remembers(row, window_ms, now_ms)
    return math.abs(now_ms - tonumber(row[5])) < window_ms
end

--- Sequence and time of what was committed under this id inside the window.
function M.find(subject_id, message_id, window_ms, now_ms)
    local row = box.space.mts_message_ids:get({ subject_id, message_id })
    if row == nil or not remembers(row, window_ms, now_ms) then return nil end
    return tonumber(row[3]), tonumber(row[4])
end

--- What one commit adds.
function M.page(now_ms)
    local newest = box.space.mts_message_ids.index.ordinal:max()
    return { ordinal = newest and tonumber(newest[6]) or 0, added = 0, now_ms = now_ms }
end

function M.remember(page, subject_id, message_id, sequence, timestamp)
    page.ordinal = page.ordinal + 1
    page.added = page.added + 1
    -- Replacing gives a row that outlived the window a new place at the end.
    store.replace("mts_message_ids", { subject_id, message_id, sequence, timestamp, page.now_ms, page.ordinal })
end

--- Removes some of the oldest ids: more than were added, so that the space follows the window.
function M.clean(page, window_ms)
    local by_age = box.space.mts_message_ids.index.ordinal
    local oldest = by_age:min()
    if oldest == nil or remembers(oldest, window_ms, page.now_ms) then return end
    for _, row in ipairs(by_age:select({}, { limit = cleaned_min + 2 * page.added })) do
        if remembers(row, window_ms, page.now_ms) then return end
        store.delete("mts_message_ids", { row[1], row[2] })
    end
end

return M
