#!/usr/bin/env tarantool
--- The feed of changes.
package.path = debug.getinfo(1, "S").source:match("^@(.*)/test/") .. "/?.lua;" .. package.path

local kit = require("test.kit")
local fiber = require("fiber")
local test = require("tap").test("feed")

kit.start({ schema = false })
local feed = require("mts.feed")

test:plan(10)

local life, start = unpack(feed.now())
test:is(start, 0, "begins at 0")

feed.publish({
    { feed.moved, "a", 1, 2 }, { feed.moved, "b", 1, 1 }, { feed.consumer, "a", "c", true }, { feed.purged, "a", 1 },
    { feed.moved, "a", 3, 3 }, { feed.moved, "b", 5, 6 },
})
local page = feed.after(life, 0, 0)
test:is_deeply({ page[2], page[4] }, { 6, false }, "the position is that of the last change")
test:is_deeply(page[5], { "a", 1, 3, "b", 1, 1, "b", 5, 6 }, "runs without a gap are one")
test:is_deeply({ page[6], page[7] }, { { { "a", "c", true } }, { { "a", 1 } } }, "consumers and deletions")

local woken
fiber.create(function() woken = feed.after(life, 6, 60000) end)
fiber.yield()
test:ok(woken == nil, "waits when there is nothing")
feed.publish({ { feed.moved, "a", 4, 4 } })
while woken == nil do fiber.yield() end
test:is_deeply(woken[5], { "a", 4, 4 }, "and is woken")
test:is_deeply(feed.after(life, 7, 1)[5], {}, "an empty page when the time is over")

test:ok(feed.after("another", 7, 60000)[4], "another life is lost")
test:ok(feed.after(life, 8, 60000)[4], "so is a position of the future")
for version = 8, feed.capacity + 8 do feed.publish({ { feed.moved, "many", version, version } }) end
test:is_deeply({ feed.after(life, 7, 0)[4], feed.after(life, 8, 0)[4], feed.after(life, 8, 0)[2] },
    { true, false, 10008 }, "too far behind is lost, and a page is bounded")

kit.finish(test)
