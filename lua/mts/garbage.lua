--- Removal of purged rows. A purge only moves the subject's beginning and notes what lies below it; the rows go in
-- bounded slices between other work, also after a restart, so that deleting a million messages holds nobody up.

local fiber = require("fiber")
local log = require("log")
local clock = require("mts.clock")
local expiring = require("mts.expiring")
local objects = require("mts.objects")
local store = require("mts.store")

local M = {}

--- Rows of one slice: a few milliseconds.
local slice_rows = 400
--- How long to wait after a slice that failed (a full disk may refuse even this), in seconds.
local retry_s = 5

local work = fiber.cond()

--- Notes, inside the purge's transaction, that rows through a sequence are garbage.
function M.note(subject_id, through)
    local noted = box.space.mts_garbage:get(subject_id)
    if noted == nil or noted[2] < through then store.replace("mts_garbage", { subject_id, through }) end
    work:signal()
end

local function remove_measured(subject_id, through)
    local rows = box.space.mts_measured:select({ subject_id }, { iterator = "GE", limit = slice_rows })
    for _, row in ipairs(rows) do
        if row[1] ~= subject_id or row[2] > through then return end
        store.delete("mts_measured", { subject_id, row[2] })
    end
end

--- How long the last slice took by itself, without what it waited for, in seconds.
local took_s = 0

--- Removes one slice.
local function slice(context)
    local started_at = clock.elapsed_s()
    local noted = box.space.mts_garbage:pairs():nth(1)
    if noted == nil then return end
    local subject_id, through = noted[1], noted[2]
    local rows = box.space.mts_messages:select({ subject_id }, { iterator = "GE", limit = slice_rows })
    local released, removed, last = objects.releasing(), 0, nil
    for _, row in ipairs(rows) do
        if row[1] ~= subject_id or row[2] > through then break end
        last = tonumber(row[2])
        local object_id, stored_length, expires_at = store.delete_message(subject_id, last)
        released.add(object_id, stored_length)
        expiring.forget(subject_id, expires_at, last)
        removed = removed + 1
    end
    released.finish(context.now_ms)
    if last ~= nil then remove_measured(subject_id, last) end
    if removed < slice_rows then store.delete("mts_garbage", subject_id) end
    took_s = clock.elapsed_s() - started_at
end

--- Whether purged rows are still there.
function M.is_left()
    return box.space.mts_garbage:len() > 0
end

--- Starts the removal.
function M.start()
    local writer = require("mts.writer")
    fiber.create(function()
        fiber.name("mts_garbage")
        while true do
            if not M.is_left() then work:wait() end
            if M.is_left() then
                local done, reason = pcall(writer.write_along, slice)
                if done then
                    -- As long as that took nobody waits for it.
                    fiber.sleep(took_s)
                else
                    -- Nothing is lost: the note stays until its rows are gone. Commits meet, and report, the same.
                    log.warn("garbage: %s", tostring(type(reason) == "table" and reason.reason or reason))
                    fiber.sleep(retry_s)
                end
            end
        end
    end)
end

return M
