#!/usr/bin/env tarantool
--- Messages that go from the middle, through the exported functions: in a database that an older code has made, for
-- old clients, and when a call is made twice.
package.path = debug.getinfo(1, "S").source:match("^@(.*)/test/") .. "/?.lua;" .. package.path

local kit = require("test.kit")
local fiber = require("fiber")
local msgpack = require("msgpack")
local test = require("tap").test("acked")

kit.start({ schema = false })
local schema = require("mts.schema")
schema.upgrade(4)
local digest, null = ("d"):rep(32), box.NULL
-- As the code of that version left it: three messages of 10 bytes, the first deleted, a consumer that acknowledged 2.
box.space.mts_subjects:insert({ 1, "orders", 2, 3, 30, 10, 0, 0, 1000, 3000 })
box.space.mts_objects:insert({ 1, "object", 2 })
for sequence = 2, 3 do
    require("mts.store").insert_message(1, sequence, sequence * 1000, 1, sequence * 10, 0, 10, digest)
end
box.space.mts_consumers:insert({ 1, "orders", "old", "new", 0, "all", 30000, 0, 1000, 2, 2, 0, 1000 })
box.space.mts_policies:insert({ "a", null, 5, null, "old" })
schema.upgrade()

local clock = require("mts.clock")
local feed = require("mts.feed")
local wire = require("mts.wire")
local functions = require("mts.api").functions()
local code = require("mts.errors").code
require("mts.writer").start()
require("mts.garbage").start()
clock.freeze(10000)

test:plan(23)

local number = 0

local function read(name, ...)
    return (msgpack.decode(wire.bytes(functions["mts_" .. name](msgpack.encode({ ... }))[1])))[2]
end

--- A write in a slot of its own numbers; `again` is the same call once more.
local function write(name, request)
    number = number + 1
    local packed = msgpack.encode({ "client", 0, number, request })
    local function call()
        local status, result = unpack((msgpack.decode(wire.bytes(functions["mts_" .. name](packed)[1]))))
        if status ~= 0 then return status end
        return result
    end
    return call(), call
end

local function commit(subject, ttls)
    local entries, extras = {}, {}
    for place, ttl_ms in ipairs(ttls) do
        for _, item in ipairs({ 1, 1, 0, 10, digest, null, null, null }) do entries[#entries + 1] = item end
        if ttl_ms > 0 then
            for _, item in ipairs({ place, 7, ttl_ms, null, null }) do extras[#extras + 1] = item end
        end
    end
    return write("commit", { 0, { subject }, { "object-" .. subject }, entries, extras })
end

local function sequences(rows)
    local found = {}
    for place, row in ipairs(rows) do found[place] = tonumber(row[2]) end
    return found
end

local function stored(subject)
    return sequences(read("range", subject, 0, 100, 10000)[3])
end

-- What is old --------------------------------------------------------------------------------------------------------

local old = box.space.mts_consumers:get(1)
test:is_deeply({ old[14], old[15], old[16] }, { 1, 1000, 2 }, "where an old consumer began follows from when it did")
test:is_deeply(read("policies"), { { "a", null, 5, null, "old", "limits", null, null } }, "an old policy has limits")
write("delete_policy", { "a" })
test:is_deeply(read("receipts", "orders", 3), { false, 1, 0, { "old", "pending" } }, "receipts")
write("put_policy", { "orders", null, null, null, "old", "acked", { "old" }, null })
write("ack", { { "orders", "old", 3, null } })
test:is_deeply(read("subject", "orders"), { "orders", 4, 3, 0, 0, 1000, 3000, 1 }, "an old subject is emptied")
test:is_deeply(read("receipts", "orders", 3), { true, 1, 1, { "old", "acked" } }, "and what is released is told")

-- From the middle ----------------------------------------------------------------------------------------------------

local function leasing(name, max_deliver)
    write("put_consumer", { "jobs", name, "first", 0, "explicit", 1000, max_deliver, 100 })
end

commit("jobs", { 0, 50, 0, 0, 50, 0 })
leasing("a", 0)
leasing("b", 1)
write("pull", { "jobs", "a", 5, 10000, false, false })
test:is_deeply({ #functions.grpc_peek("jobs", "other", 10), functions.get_subject_message_count("jobs") }, { 6, 6 },
    "before the time is over")
local row = read("range", "jobs", 2, 1, 10000)[3][1]
test:is_deeply({ tonumber(row[10]), row[11] }, { 10050, 7 }, "a row says when it goes, and what it takes in its object")
clock.freeze(10050)
local peeked = functions.grpc_peek("jobs", "other", 10)
test:is_deeply({ #peeked, functions.get_subject_message_count("jobs"), box.space.mts_messages:len() }, { 4, 4, 6 },
    "after it they are not shown, though nothing was removed")
test:is(functions.check_new_messages("jobs", "other").new_count, 4, "nor counted")
test:is(functions.get_new_messages_count("jobs", "other", 4), 1, "behind a sequence neither")
test:is_deeply(stored("jobs"), { 1, 3, 4, 6 }, "nor read")
test:is_deeply(write("expire", { "", 10 }), { 2, null }, "until the sweep")
local ranges = {}
for place, range in ipairs(box.space.mts_gone:select()) do ranges[place] = range:totable() end
test:is_deeply(ranges, { { 2, 2, 2, 10, 20 }, { 2, 5, 5, 10, 50 } }, "each is a range of what is gone")
test:is_deeply({ box.space.mts_expiring:len(), box.space.mts_objects.index.name:get("object-jobs")[3] }, { 0, 4 },
    "and counts no more in its object")
write("ack", { { "jobs", "a", null, { 2, 3 } } })
local state = write("consumer", { "jobs", "a" })
test:is_deeply({ state[4], state[5], state[6], state[7] }, { 0, 5, 3, 2 }, "they are settled")

write("put_policy", { "jobs", null, null, null, "old", "acked", { "a", "b" }, null })
write("pull", { "jobs", "b", 2, 10000, false, false })
write("ack", { { "jobs", "b", null, { 3 } } })
test:is_deeply(stored("jobs"), { 1, 4, 6 }, "the last of two acknowledges in the middle")
write("nack", { { "jobs", "b", { 1 }, 0, "no" } })
local life, position = unpack(feed.now())
write("ack", { { "jobs", "a", null, { 1 } } })
test:is_deeply({ stored("jobs"), box.space.mts_gone:len() }, { { 4, 6 }, 1 }, "and at the beginning, after giving up")
test:is_deeply(feed.after(life, position, 0)[7], { { "jobs", 3 } }, "which is told with what was gone behind it")

-- Calls that are made twice ------------------------------------------------------------------------------------------

write("put_policy", { "jobs", null, null, null, "old", "acked", 1, null })
local pulled, again = write("pull", { "jobs", "b", 10, 10000, true, false })
test:is_deeply({ sequences(pulled[9]), stored("jobs") }, { { 4, 6 }, {} }, "pulled, acknowledged and released at once")
while box.space.mts_messages:len() > 0 do fiber.yield() end
test:is_deeply(again(), pulled, "the same call is answered with what is gone since")
commit("jobs", { 0 })
local fetched = functions.grpc_fetch("jobs", "fetcher", 10, true)
test:is_deeply({ fetched[1][1], fetched[1][3], stored("jobs") }, { 7, "object-jobs", {} }, "an old client, too")

-- What is refused ----------------------------------------------------------------------------------------------------

test:is_deeply({
    write("put_policy", { "x", null, null, null, "old", "acked", null, null }),
    write("put_policy", { "x", null, null, null, "old", "limits", { "a" }, null }),
    write("put_policy", { "x", null, null, null, "old", "acked", 2, 1000 }),
    (write("put_policy", { "x", null, null, null, "old", "acked", {}, null })),
}, { code.malformed, code.malformed, code.malformed, code.malformed }, "policies that do not go together")
local mine = { "x", 1, 2, 3, "new", "acked", { "a", "b" }, 4 }
write("put_policy", mine)
test:is_deeply({ write("put_policy", mine), (write("delete_policy", { "x" })) }, { "same", mine }, "one that does")

kit.finish(test)
