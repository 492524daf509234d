#!/usr/bin/env tarantool
--- Dead letters and delayed messages as the feed tells of them, with names of old clients, and when memory is short.
package.path = debug.getinfo(1, "S").source:match("^@(.*)/test/") .. "/?.lua;" .. package.path

local kit = require("test.kit")
local test = require("tap").test("dead letters")

kit.start()
local capacity = require("mts.capacity")
local clock = require("mts.clock")
local feed = require("mts.feed")
local read, write, functions = kit.connect()
require("mts.writer").start()
clock.freeze(1700000000000)

test:plan(18)

local null = box.NULL
local now_ms = 1700000000000

local function advance(ms)
    now_ms = now_ms + ms
    clock.freeze(now_ms)
end

local function pull(subject, limit)
    local deliveries, rows = unpack((write("pull", subject, "worker", limit or 10, 1e9, false, false)), 8, 9)
    local found = {}
    for place, row in ipairs(rows) do found[place] = { row[2], deliveries[place] } end
    return found
end

local function state(subject)
    local answer = write("consumer", subject, "worker")
    return { acked = answer[4], pending = answer[6], held = answer[7], dead_letter = answer[10] }
end

local function headers(subject, sequence)
    return read("range", subject, sequence, 1, 1e9)[3][1][9]
end

local function put(subject, dead_letter)
    return (write("put_consumer", subject, "worker", "first", 0, "explicit", 1000, 1, 100, dead_letter))[1]
end

test:is(put("orders", "letters"), "created", "a consumer with a subject for dead letters")
test:is_deeply({ put("orders", "letters"), put("orders", "others"), put("orders", null) },
    { "same", "differs", "differs" }, "is another one than with another or without")
test:is(state("orders").dead_letter, "letters", "and shows it")

-- Names only, as an old client publishes them.
for place = 1, 4 do functions.grpc_publish("orders", "object-" .. place, { kind = "k" .. place }) end
test:is_deeply(pull("orders", 2), { { 1, 1 }, { 2, 1 } }, "two are leased")
local life, position = unpack(feed.now())
write("nack", { "orders", "worker", { 2 }, 0, "no luck" })
test:is_deeply(headers("letters", 1), {
    kind = "k2",
    ["dead-letter-reason"] = "max_deliver",
    ["dead-letter-consumer"] = "worker",
    ["dead-letter-subject"] = "orders",
    ["dead-letter-sequence"] = "2",
    ["dead-letter-timestamp"] = "1700000000000",
    ["dead-letter-deliveries"] = "1",
    ["dead-letter-error"] = "no luck",
}, "the last delivery given back is a dead letter")
test:is_deeply(feed.after(life, position, 0)[5], { "letters", 1, 1 }, "of which the feed tells")
test:is_deeply(functions.grpc_peek("letters", "old", 10)[1][3], "object-2", "with the name of its object")

advance(1000)
local is_left = capacity.is_left
capacity.is_left = function() return false end
local peeked = read("peek", "orders", "worker", 10, 1e9)
test:is_deeply({ peeked[4], #peeked[9] }, { 0, 2 }, "a lease that ran out is not settled before its letter is there")
write("ack", { "orders", "worker", null, { 3 } })
test:is_deeply({ state("orders").acked, functions.get_latest_sequence_for_subject("letters") }, { 0, 1 },
    "without room for it an acknowledgement works, and the message stays")
capacity.is_left = is_left
advance(1000)
test:is_deeply({ state("orders").acked, headers("letters", 2)["dead-letter-error"] or "none" }, { 3, "none" },
    "later it goes")
test:is_deeply(state("orders").pending, 1, "and one message is left")

test:is_deeply(pull("orders"), { { 4, 1 } }, "the last one")
advance(1000)
write("expire", "", 10)
test:is_deeply({ functions.get_latest_sequence_for_subject("letters"), box.space.mts_pending:len() }, { 3, 0 },
    "the sweep gives up, too")

life, position = unpack(feed.now())
test:is_deeply((write("redrive", "orders", "worker", 1, 2)), { 2, 3 }, "two are sent back")
test:is_deeply({ headers("orders", 5), headers("orders", 6) }, { { kind = "k2" }, { kind = "k1" } },
    "as they were, the oldest letter first")
test:is_deeply({ feed.after(life, position, 0)[5], read("heads", { "letters" }) }, { { "orders", 5, 6 }, { 3, 3 } },
    "from where they are no more")
test:is_deeply((write("redrive", "orders", "worker", 3, 10)), { 1, null }, "up to the end")

-- An old client takes nothing of the memory for message ids.
write("commit", 120000, { "ids" }, {}, { 1, 0, 0, 0, ("d"):rep(32), null, "m", null })
functions.grpc_publish("ids", "object-9", {})
test:is(box.space.mts_message_ids:len(), 1, "an old client's publish forgets no message id")

kit.finish(test)
