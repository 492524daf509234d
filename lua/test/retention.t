#!/usr/bin/env tarantool
--- Retention and dead objects through the exported functions, also those of old clients, and what is told of it.
package.path = debug.getinfo(1, "S").source:match("^@(.*)/test/") .. "/?.lua;" .. package.path

local kit = require("test.kit")
local fiber = require("fiber")
local msgpack = require("msgpack")
local test = require("tap").test("retention")

kit.start()
local clock = require("mts.clock")
local feed = require("mts.feed")
local wire = require("mts.wire")
local functions = require("mts.api").functions()
require("mts.writer").start()
require("mts.garbage").start()
clock.freeze(1700000000000)

test:plan(18)

local number = 0

local function read(name, ...)
    return (msgpack.decode(wire.bytes(functions["mts_" .. name](msgpack.encode({ ... }))[1])))[2]
end

--- A write in a slot of its own numbers; `again` is the same call once more.
local function write(name, ...)
    number = number + 1
    local packed = msgpack.encode({ "client", 0, number, { ... } })
    local function call() return (msgpack.decode(wire.bytes(functions["mts_" .. name](packed)[1])))[2] end
    return call(), call
end

local function publish(object)
    local answer = functions.grpc_publish("orders", object, {})
    return answer.status_code == 0 and answer.sequence or answer.error_message
end

local function died(count)
    while read("count_dead") ~= count do fiber.yield() end
    return true
end

local null = box.NULL
test:is(write("put_policy", "orders", null, 3, null, "old"), "created", "a policy")
test:is_deeply(read("policies"), { { "orders", null, 3, null, "old", "limits", null, null } }, "is listed")
local life, position = unpack(feed.now())
for place = 1, 5 do publish("object-" .. place) end
test:is_deeply(read("heads", { "orders" }), { 3, 5 }, "the oldest went")
test:is_deeply(feed.after(life, position, 0)[7], { { "orders", 1 }, { "orders", 2 } }, "and that is told")
test:ok(died(2), "their objects are dead when the rows are gone")
test:is(publish("object-1"), 6, "an old client may bring one back")
test:ok(died(2), "object-1 lives and object-3 died")

local taken, again = write("take_dead", 10, 0, 1000)
test:is_deeply(taken, { "object-2", "object-3" }, "the dead are handed out")
test:is_deeply(again(), taken, "the same call is answered as the first time")
test:is_deeply(write("take_dead", 10, 0, 1000), {}, "another gets none")
test:is(publish("object-3"), "the object is being deleted: publish under another name", "nor does a message")
write("forget_dead", { "object-3" })
test:is(publish("object-3"), 7, "until it is forgotten")

write("put_policy", "orders", null, 1, null, "new")
test:is(publish("object-9"), "the subject has no room for it", "an old client is refused, too")
test:is_deeply(write("expire", "", 10), { 0, null }, "nothing is removed for what is refused")

write("put_policy", "orders", 1000, null, null, "old")
clock.freeze(1700000001000)
test:is_deeply({ functions.get_subject_message_count("orders"), #functions.grpc_peek("orders", "old", 10) }, { 0, 0 },
    "what is too old is not shown to old clients")
test:is(box.space.mts_garbage:len() == 0 and box.space.mts_messages:len(), 3, "though nothing was removed")
test:is_deeply(write("expire", "", 10), { 3, null }, "before the sweep")
test:is_deeply(write("delete_policy", "orders"), { "orders", 1000, null, null, "old", "limits", null, null },
    "taken away")

kit.finish(test)
