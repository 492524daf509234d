--- The feed of changes: a bounded ring in memory, filled when a transaction is on the disk. Nothing is lost with it:
-- it tells where to look, and whoever comes too late, or from another life of the process, is told to look everywhere.

local fiber = require("fiber")
local uuid = require("uuid")
local clock = require("mts.clock")
local errors = require("mts.errors")

local M = {}

--- Changes that are remembered.
M.capacity = 65536
--- Changes in one answer.
local page_max = 10000
--- Calls that may wait at once; a node has one.
local waiting_max = 1000

M.moved, M.consumer, M.purged = 1, 2, 3

--- The time of the transaction that is on its way to the disk, or nil.
M.transaction_ms = nil

--- Whatever is published after now is not older than this.
local function floor_ms()
    return M.transaction_ms or clock.now_ms()
end

local boot = uuid.str()
local ring = {}
local newest = 0
local waiting = 0
local news = fiber.cond()

local function empty_page(is_lost)
    return { boot, newest, floor_ms(), is_lost, {}, {}, {} }
end

--- An empty page at the latest change.
function M.now()
    return empty_page(false)
end

--- Remembers changes, each `{kind, subject, first or name or through, last or deleted}`, and wakes who waits.
function M.publish(changes)
    if #changes == 0 then return end
    for _, change in ipairs(changes) do
        newest = newest + 1
        ring[newest % M.capacity] = change
    end
    news:broadcast()
end

local function page_after(after)
    local through = math.min(newest, after + page_max)
    local moved, last_of, consumers, purged = {}, {}, {}, {}
    for version = after + 1, through do
        local change = ring[version % M.capacity]
        local kind, subject = change[1], change[2]
        if kind == M.moved then
            local place = last_of[subject]
            if place ~= nil and moved[place] + 1 == change[3] then
                moved[place] = change[4]
            else
                moved[#moved + 1] = subject
                moved[#moved + 1] = change[3]
                moved[#moved + 1] = change[4]
                last_of[subject] = #moved
            end
        elseif kind == M.consumer then
            consumers[#consumers + 1] = { subject, change[3], change[4] }
        else
            purged[#purged + 1] = { subject, change[3] }
        end
    end
    return { boot, through, floor_ms(), false, moved, consumers, purged }
end

local function is_known(life, after)
    return life == boot and after <= newest and after >= newest - M.capacity
end

--- Changes after a position, at once when there are any, else as soon as there are, at the latest after `wait_ms`.
function M.after(life, after, wait_ms)
    if is_known(life, after) and after == newest and wait_ms > 0 then
        if waiting >= waiting_max then errors.raise("overloaded", "too many calls wait for changes") end
        waiting = waiting + 1
        local ends_at = fiber.clock() + wait_ms / 1000
        while after == newest and fiber.clock() < ends_at do
            local woken = pcall(news.wait, news, ends_at - fiber.clock())
            if not woken then break end
        end
        waiting = waiting - 1
    end
    if not is_known(life, after) then return empty_page(true) end
    return page_after(after)
end

--- Begins another life. For tests.
function M.restart()
    boot, ring, newest = uuid.str(), {}, 0
    news:broadcast()
end

return M
