#!/usr/bin/env tarantool
--- Transactions of many calls, and what others see of them.
package.path = debug.getinfo(1, "S").source:match("^@(.*)/test/") .. "/?.lua;" .. package.path

local kit = require("test.kit")
local fiber = require("fiber")
local test = require("tap").test("writer")

kit.start({ wal_mode = "fsync" })
local writer = require("mts.writer")
local store = require("mts.store")
local errors = require("mts.errors")
local feed = require("mts.feed")
writer.start()

test:plan(13)

local function put(id, through)
    return function(context)
        store.replace("mts_garbage", { id, through })
        context.changes[#context.changes + 1] = { feed.purged, "s" .. id, through }
        return through
    end
end

test:is(writer.write(put(1, 10)), 10, "answers what the call answers")
test:is(box.space.mts_garbage:get(1)[2], 10, "and it is there")

-- Calls of many fibers, some refused: each for itself, in the order in which they came.
local results = {}
local fibers = {}
for place = 1, 100 do
    fibers[place] = fiber.new(function()
        local done, answer = pcall(writer.write, function(context)
            local before = box.space.mts_garbage:get(2)
            local value = put(2, (before and tonumber(before[2]) or 0) + 1)(context)
            if place % 10 == 0 then errors.raise("malformed", "refused") end
            return value
        end)
        results[place] = done and answer or "refused"
    end)
    fibers[place]:set_joinable(true)
end
for place = 1, 100 do fibers[place]:join() end
local expected, count = {}, 0
for place = 1, 100 do
    if place % 10 == 0 then
        expected[place] = "refused"
    else
        count = count + 1
        expected[place] = count
    end
end
test:is_deeply(results, expected, "a refusal undoes its own call only")
test:is(box.space.mts_garbage:get(2)[2], 90, "and nothing of it stays")
local _, newest = unpack(feed.now())
test:is(newest, 91, "nor is it told")

-- While a transaction is on its way to the disk, others do not see it.
local is_written = false
fiber.create(function()
    writer.write(put(3, 1))
    is_written = true
end)
local seen_early, seen_settled
fiber.create(function()
    while box.space.mts_garbage:get(3) == nil do fiber.yield() end
    seen_early = not is_written
end)
fiber.create(function()
    fiber.yield()
    writer.settle()
    seen_settled = box.space.mts_garbage:get(3) ~= nil
end)
while not is_written or seen_settled == nil do fiber.yield() end
test:ok(seen_early, "the database shows a row before it is on the disk")
test:ok(seen_settled, "a read that settles sees it afterwards")

-- The queue is bounded.
local refusals, open = {}, 0
for _ = 1, 10100 do
    fiber.create(function()
        open = open + 1
        local number = kit.refusal(writer.write, put(4, 1))
        if number ~= nil then refusals[number] = (refusals[number] or 0) + 1 end
        open = open - 1
    end)
end
while open > 0 do fiber.yield() end
test:is_deeply(refusals, { [errors.code.overloaded] = 100 }, "a full queue answers")
test:is(writer.write(put(5, 7)), 7, "and takes more when it is empty")

local _, reason = kit.refusal(writer.write, function() error("broken", 0) end)
test:is(reason, "broken", "an error is passed on")

-- What has time goes along with others, in their transaction and behind them. A machine that stands still for too long
-- may have it go before, so that it is tried until it is seen.
local transactions, answers
local function note(name, ...)
    local run = put(...)
    return function(context)
        transactions[#transactions + 1] = { name, context }
        return run(context)
    end
end
repeat
    transactions, answers = {}, {}
    writer.write(put(6, 1))
    local along = fiber.new(function() answers.along = writer.write_along(note("along", 7, 2)) end)
    along:set_joinable(true)
    fiber.yield()
    answers.other = writer.write(note("other", 6, 3))
    along:join()
until transactions[1][2] == transactions[2][2]
test:is_deeply(answers, { along = 2, other = 3 }, "both are answered")
test:is_deeply({ transactions[1][1], transactions[2][1] }, { "other", "along" }, "what has time goes last")

-- Where no others come it goes by itself, one after the other.
for through = 3, 12 do writer.write_along(put(7, through)) end
test:is(box.space.mts_garbage:get(7)[2], 12, "and by itself when nobody comes")

kit.finish(test)
