--- The one writer. Without an MVCC engine other fibers see rows before their log write has ended, so all writes go
-- through one fiber, and reads wait while a transaction is on its way to the disk: nothing that is not durable is ever
-- shown, answered or built upon. The writer packs the calls that came meanwhile into one transaction, each behind a
-- savepoint of its own, so that many callers share one write to the disk and the refusal of one touches no other.

local fiber = require("fiber")
local log = require("log")
local errors = require("mts.errors")
local clock = require("mts.clock")
local feed = require("mts.feed")
local policies = require("mts.policies")
local store = require("mts.store")
local witness = require("mts.witness")

local M = {}

--- Calls that may wait for their turn.
local queue_max = 10000
--- Calls in one transaction.
local group_max = 256
--- How long a call with time waits for others to go along with, and how recently there must have been others for that
-- to be worth it, in seconds.
local patience_s = 0.02

local queue, first, last = {}, 1, 0
--- Calls with time that wait for others to go along with, and when the last of those others had their turn.
local riders, others_at = {}, -math.huge
local work = fiber.cond()
local readable = fiber.cond()
local busy = false
local running = false

--- Waits until everything that can be seen is durable; what follows must not yield.
function M.settle()
    while busy do readable:wait() end
end

--- Lets others run in the middle of a long read; what was read before may have changed after it. A sleep of no length
-- has calls that came meanwhile begin, which a yield has not.
function M.pause()
    fiber.sleep(0)
    M.settle()
end

--- Where a transaction is, for `undo`.
function M.mark(context)
    return { savepoint = box.savepoint(), told = #context.changes }
end

--- Undoes what was done since a mark at which the call had changed nothing.
function M.undo(context, mark)
    if store.changed then
        box.rollback_to_savepoint(mark.savepoint)
        policies.forget()
    end
    for place = #context.changes, mark.told + 1, -1 do context.changes[place] = nil end
    store.changed, context.later = false, {}
end

local function perform(call, context)
    local mark = M.mark(context)
    store.changed, context.later = false, {}
    local done, answer = pcall(call.run, context)
    if done then
        call.answer, call.later = answer, context.later
        return
    end
    call.failure = answer
    M.undo(context, mark)
end

local function take_group()
    local group = {}
    while first <= last and #group < group_max do
        if not queue[first].has_time then others_at = fiber.clock() end
        group[#group + 1] = queue[first]
        queue[first] = nil
        first = first + 1
    end
    for _, call in ipairs(riders) do group[#group + 1] = call end
    riders = {}
    return group
end

local function commit(group)
    local context = { now_ms = clock.now_ms(), changes = {} }
    feed.transaction_ms = context.now_ms
    box.begin()
    for _, call in ipairs(group) do perform(call, context) end
    box.commit()
    witness.note()
    return context.changes
end

local function turn()
    local group = take_group()
    busy = true
    local done, changes = pcall(commit, group)
    if not done then
        if box.is_in_txn() then box.rollback() end
        policies.forget()
    end
    busy = false
    feed.transaction_ms = nil
    if done then feed.publish(changes) end
    for _, call in ipairs(group) do
        if not done and call.failure == nil then call.failure = changes end
        call.is_done = true
        call.wake:signal()
    end
    readable:broadcast()
    -- Those who read go before the next transaction.
    fiber.yield()
end

local function serve()
    fiber.name("mts_writer")
    while true do
        while first > last do work:wait() end
        turn()
    end
end

--- Starts the writer; once.
function M.start()
    assert(not running, "the writer runs")
    running = true
    fiber.create(serve)
end

local write_once

local function enqueue(call)
    last = last + 1
    queue[last] = call
    work:signal()
end

--- Takes a call that nobody has taken along out of the riders; answers whether it was there.
local function get_off(call)
    for place, rider in ipairs(riders) do
        if rider == call then
            table.remove(riders, place)
            return true
        end
    end
    return false
end

--- Writes what a call that is done left for later, each as often as it does not answer true. What goes wrong with it
-- undoes nothing.
local function finish(later)
    for _, run in ipairs(later) do
        local done, reason = pcall(function() repeat until write_once(run) end)
        if not done then
            log.warn("writer: left for later: %s", tostring(type(reason) == "table" and reason.reason or reason))
        end
    end
end

function write_once(run, has_time)
    if last - first + 1 >= queue_max then errors.raise("overloaded", "too many calls wait to be written") end
    if box.info.ro then errors.raise("read_only", "this instance does not accept writes") end
    local call = { run = run, wake = fiber.cond(), is_done = false, has_time = has_time }
    if has_time and fiber.clock() - others_at < patience_s then
        riders[#riders + 1] = call
        call.wake:wait(patience_s)
        if get_off(call) then enqueue(call) end
    else
        enqueue(call)
    end
    while not call.is_done do call.wake:wait() end
    if call.failure ~= nil then error(call.failure, 0) end
    finish(call.later)
    return call.answer
end

--- Answers what `run` does. Where that raises `{before = run}`, having too much to do for one transaction, `before` is
-- written first, as often as it does not answer true, and everything starts anew.
function M.prepared(run)
    while true do
        local done, answer = pcall(run)
        if done then return answer end
        if type(answer) ~= "table" or answer.before == nil then error(answer, 0) end
        repeat until write_once(answer.before)
    end
end

--- Runs `run(context)` inside a transaction and answers what it returns once that is durable. `run` must not yield; it
-- finds the time in `context.now_ms` and adds what others should hear of to `context.changes`. It may be run again, as
-- `prepared` says, when its changes were undone. What is too much for one transaction it adds to `context.later`: that
-- is written before the answer is given, as often as it does not answer true.
function M.write(run)
    return M.prepared(function() return write_once(run) end)
end

--- Like `write`, for upkeep, which has time: while others write it goes along with one of their transactions, so that
-- nobody waits for a write to the disk other than his own.
function M.write_along(run)
    return M.prepared(function() return write_once(run, true) end)
end

return M
