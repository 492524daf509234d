#!/usr/bin/env tarantool
--- What objects hold: counted as messages come and go, for what was there before it was counted, and moved elsewhere.
package.path = debug.getinfo(1, "S").source:match("^@(.*)/test/") .. "/?.lua;" .. package.path

local kit = require("test.kit")
local fiber = require("fiber")
local test = require("tap").test("compaction")

kit.start({ schema = false })
local schema = require("mts.schema")
schema.upgrade(4)

-- As the code before left it: 3 messages of one object in two subjects, one of them on its way out, and a name only.
local digest = ("d"):rep(32)
local function old_message(subject, sequence, object, bytes_through, offset, length)
    local row = { subject, sequence, 1600000000000 + sequence, object, bytes_through, offset }
    box.begin()
    require("mts.store").insert_message(row[1], row[2], row[3], row[4], row[5], row[6], length, length and digest)
    box.commit()
end
box.space.mts_subjects:insert({ 1, "orders", 2, 2, 30, 10, 0, 0, 1, 1 })
box.space.mts_subjects:insert({ 2, "names", 1, 2, 0, 0, 5, 0, 1, 1 })
box.space.mts_subjects:insert({ 3, "others", 1, 1, 30, 0, 0, 0, 1, 1 })
box.space.mts_objects:insert({ 1, "segment/1", 3 })
box.space.mts_objects:insert({ 2, "named/1", 1 })
box.space.mts_objects:insert({ 3, "named/2", 1 })
old_message(1, 1, 1, 10, 0, 10)
old_message(1, 2, 1, 30, 10, 20)
old_message(3, 1, 1, 30, 70, 30)
old_message(2, 1, 2, 0, 0, nil)
old_message(2, 2, 3, 0, 0, 5)
box.space.mts_measured:insert({ 2, 2, 5 })
box.space.mts_garbage:insert({ 1, 1 })

schema.upgrade()
local clock = require("mts.clock")
local objects = require("mts.objects")
local read, write, functions = kit.connect()
require("mts.writer").start()
clock.freeze(1700000000000)

test:plan(31)

--- Messages, bytes committed, bytes alive.
local function counts(object)
    local row = objects.find(object)
    if row == nil then return nil end
    local function number(value) return value ~= nil and tonumber(value) or "unknown" end
    return { tonumber(row[3]), number(row[4]), number(row[5]) }
end

--- Subject, first and last of each.
local function spans(object)
    local found = {}
    for _, span in ipairs(objects.spans(objects.find(object)[1])) do
        for place = 1, 3 do found[#found + 1] = span[place] end
    end
    return found
end

test:is_deeply(counts("segment/1"), { 3, 100, 60 }, "what was there is counted, up to the end of the last message")
test:is(tonumber(objects.find("segment/1")[6]), 1600000000002, "with the time of the newest")
test:is_deeply(spans("segment/1"), { 1, 1, 2, 3, 1, 1 }, "and where it is")
test:is_deeply({ counts("named/1"), counts("named/2") }, { { 1, "unknown", "unknown" }, { 1, "unknown", "unknown" } },
    "names whose content was not known, or was measured later, have no count")
require("mts.accounting").run()
test:is_deeply({ counts("segment/1"), spans("segment/1") }, { { 3, 100, 60 }, { 1, 1, 2, 3, 1, 1 } },
    "counting again is the same")
require("mts.garbage").start()
while require("mts.garbage").is_left() do fiber.yield() end
test:is_deeply(counts("segment/1"), { 2, 100, 50 }, "what is deleted is alive no more")

-- Commits: bodies of an object, 10 bytes each, one behind the other.
local function commit(subject, object, count, extra, message_id)
    local entries = {}
    for place = 1, count do
        for _, item in ipairs({ 1, 1, (place - 1) * 10, 10, digest, box.NULL, message_id or box.NULL, box.NULL }) do
            entries[#entries + 1] = item
        end
    end
    return write("commit", 120000, { subject }, { object }, entries, extra or box.NULL)
end
local function take(options)
    options = options or {}
    return write("take_sparse", options.share or 0.5, options.tiny or 0, options.tiny_min or 2, options.age or 1000,
        options.objects or 100, options.bytes or 1e9, 60000)
end
local function names_of(answer)
    local names = {}
    for place, item in ipairs(answer) do names[place] = item[1] end
    return names
end

commit("s", "segment/2", 10)
commit("s", "segment/3", 1)
commit("s", "segment/2", 1)
test:is_deeply({ counts("segment/2"), spans("segment/2") }, { { 11, 110, 110 }, { 4, 1, 12 } },
    "a near span goes on over what is between")
test:is_deeply(counts("segment/3"), { 1, 10, 10 }, "a body counts as it is")
commit("s", "segment/4", 1, { 1, 4, box.NULL, box.NULL, box.NULL })
test:is_deeply(counts("segment/4"), { 1, 4, 4 }, "or as it is stored")

test:is_deeply(names_of((take())), { "segment/1" }, "half of it gone is enough")
clock.freeze(1700000002000)
write("purge", "s", 7)
while require("mts.garbage").is_left() do fiber.yield() end
test:is_deeply(counts("segment/2"), { 4, 110, 40 }, "a purge counts down")
commit("t", "segment/2", 1)
test:is_deeply(names_of((take())), {}, "what something was committed into lately waits")
clock.freeze(1700000004000)
local taken, again = take()
test:is_deeply(names_of(taken), { "segment/2" }, "what was handed out is not handed out again")
local offsets = {}
for place = 1, #taken[1][2][1], 4 do offsets[#offsets + 1] = taken[1][2][1][place] end
test:is_deeply(offsets, { 0, 70, 80, 90 }, "bodies come in the order of their offsets, each once")
test:is_deeply(again(), taken, "the same call is answered as the first time")
test:is_deeply(names_of((take({ tiny = 1000, tiny_min = 3 }))), {}, "few tiny ones are left alone")
test:is_deeply(names_of((take({ tiny = 1000, tiny_min = 2 }))), { "segment/3", "segment/4" }, "enough are joined")

-- Moving: a body that two messages share, one that will be compressed, one that nothing points at, and one into what is
-- being deleted.
local null = box.NULL
local function move(moves, linger)
    return (write("move_bodies", { "segment/2", "joined/1", "joined/2", "taken/1" }, moves, linger or 0))
end
write("condemn", { "taken/1" })
write("take_dead", 10, 0, 60000)
local moves = { 1, 0, 2, 0, null, 10, 1, 70, 2, 10, 6, 6, 1, 500, 3, 0, null, 9, 1, 90, 4, 0, null, 10 }
test:is(move(moves), 3, "messages are moved")
test:is_deeply({ counts("segment/2"), counts("joined/1") }, { { 2, 120, 20 }, { 3, 16, 26 } },
    "their bytes are counted where they are, new ones once")
test:is(read("count_dead"), 2, "a target that nothing came into is dead")
local function body(subject, sequence)
    local row = box.space.mts_messages:get({ box.space.mts_subjects.index.name:get(subject)[1], sequence })
    return { require("mts.store").object_name(row[4]), tonumber(row[6]), tonumber(row[7]), tonumber(row[11] or 0) }
end
test:is_deeply({ body("s", 12), body("s", 8), body("s", 10) },
    { { "joined/1", 0, 10, 0 }, { "joined/1", 10, 10, 6 }, { "segment/2", 90, 10, 0 } }, "and point there")
test:is(move(moves), 0, "again is nothing")
test:is(move({ 1, 80, 2, 20, null, 10, 1, 90, 2, 30, null, 10 }, 5000), 2, "the rest follows")
test:is_deeply({ counts("segment/2") == nil, counts("joined/1"), spans("joined/1") },
    { true, { 5, 36, 46 }, { 4, 8, 12, 5, 1, 1 } }, "then the source is dead")
clock.freeze(1700000004000 + 4999)
test:is_deeply((write("take_dead", 10, 0, 60000)), { "joined/2" }, "but lingers")
clock.freeze(1700000004000 + 5000)
test:is_deeply((write("take_dead", 10, 0, 60000)), { "segment/2" }, "for a while")

-- What is never moved.
functions.grpc_publish("s", "joined/1", {})
test:is_deeply(counts("joined/1"), { 6, "unknown", "unknown" }, "what an old client publishes has no count any more")
write("put_policy", "s", null, 1, null, "old", "limits", null, null)
commit("s", "segment/5", 4)
commit("u", "segment/5", 1, { 1, null, null, 5000, null })
while require("mts.garbage").is_left() do fiber.yield() end
clock.freeze(1700000012000)
test:is_deeply({ counts("segment/5"), names_of((take())) }, { { 2, 50, 20 }, {} },
    "nor is what a delayed message needs")
clock.freeze(1700000020000)
test:is_deeply((write("commit_due", 120000, 10)), { 1, null }, "until it is committed")
test:is_deeply({ counts("segment/5"), spans("segment/5") }, { { 2, 50, 20 }, { 4, 15, 18, 6, 1, 1 } }, "where it is")
test:is_deeply(names_of((take())), { "segment/5" }, "then it may be moved")

kit.finish(test)
