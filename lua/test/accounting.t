#!/usr/bin/env tarantool
--- What objects are said to hold against what the rows say, over random calls.
package.path = debug.getinfo(1, "S").source:match("^@(.*)/test/") .. "/?.lua;" .. package.path

local kit = require("test.kit")
local fiber = require("fiber")
local test = require("tap").test("accounting")

kit.start()
local clock = require("mts.clock")
local garbage = require("mts.garbage")
local objects = require("mts.objects")
local page = require("mts.page")
local store = require("mts.store")
local _, write, functions = kit.connect()
require("mts.writer").start()
garbage.start()

local rounds, seed = 1500, 20261
local now_ms = 1700000000000
math.randomseed(seed)
test:plan(3)

local null, digest = box.NULL, ("d"):rep(32)
local subjects = { "a", "b", "letters" }

local function one_of(list) return list[math.random(#list)] end
local function maybe(value) return math.random(3) == 1 and value or null end

local next_object = 0

--- A few messages in new objects, or once more in an old one.
local function commit()
    local entries, extras, names = {}, {}, {}
    next_object = next_object + 1
    names[1] = ("o/%d"):format(next_object)
    names[2] = ("o/%d"):format(math.random(next_object))
    for place = 1, math.random(12) do
        local values = { math.random(2), math.random(0, 2), (place - 1) * 10, 10, digest, null, null, null }
        for _, value in ipairs(values) do entries[#entries + 1] = value end
        local ttl_ms = maybe(math.random(5000))
        for _, value in ipairs({ place, maybe(math.random(9)), ttl_ms, maybe(math.random(3000)), null }) do
            extras[#extras + 1] = value
        end
    end
    write("commit", 120000, subjects, names, entries, extras)
end

local function pull() write("pull", one_of({ "a", "b" }), "worker", math.random(8), 1e9, false, false) end

local function nack()
    local subject = one_of({ "a", "b" })
    local last = functions.get_latest_sequence_for_subject(subject)
    if last == 0 then return end
    local sequences = {}
    for place = 1, 5 do sequences[place] = math.random(last) end
    write("nack", { subject, "worker", sequences, 0, maybe("no luck") })
end

local function ack()
    local subject = one_of({ "a", "b" })
    write("ack", { subject, "worker", math.random(0, functions.get_latest_sequence_for_subject(subject)), null })
end

local function purge()
    local subject = one_of(subjects)
    write("purge", subject, math.max(0, functions.get_latest_sequence_for_subject(subject) - math.random(40)))
end

--- Rewrites some of what is sparse, or all of it.
local function compact()
    next_object = next_object + 1
    local names, moves, offset = { ("o/%d"):format(next_object) }, {}, 0
    for _, taken in ipairs((write("take_sparse", 0.8, 60, 2, 0, 10, 1e9, math.random(2000)))) do
        names[#names + 1] = taken[1]
        for _, chunk in ipairs(taken[2]) do
            for place = 1, #chunk, 4 do
                if math.random(4) > 1 then
                    for _, value in ipairs({ #names, chunk[place], 1, offset, maybe(7), 7 }) do
                        moves[#moves + 1] = value
                    end
                    offset = offset + 7
                end
            end
        end
    end
    -- What is taken as so many bytes takes them.
    for place = 1, #moves, 6 do moves[place + 5] = moves[place + 4] == null and 10 or 7 end
    write("move_bodies", names, moves, math.random(0, 1000))
end

local function delete_dead()
    write("forget_dead", (write("take_dead", 5, 500, 1000)))
end

local function redrive() write("redrive", one_of({ "a", "b" }), "worker", 1, math.random(5)) end

local calls = {
    commit, commit, commit, pull, pull, nack, ack, purge, compact, delete_dead, redrive,
    function() write("commit_due", 120000, math.random(20)) end,
    function() write("expire", "", 10) end,
    function()
        now_ms = now_ms + math.random(400)
        clock.freeze(now_ms)
    end,
}

--- What the rows say: messages and bytes by object, and which messages are shown.
local function counted()
    local found = {}
    local function add(id, bytes)
        if id == store.no_object then return end
        found[id] = found[id] or { messages = 0, bytes = 0, shown = 0 }
        found[id].messages, found[id].bytes = found[id].messages + 1, found[id].bytes + bytes
    end
    for _, row in box.space.mts_messages:pairs() do
        local id = tonumber(row[store.message.object_id])
        add(id, page.stored_length_of(row))
        local is_shown = row[store.message.sequence] >= store.subject_by_id(row[store.message.subject_id]).first
        if id ~= store.no_object and is_shown then found[id].shown = found[id].shown + 1 end
    end
    for _, row in box.space.mts_delayed:pairs() do
        add(tonumber(row[5]), tonumber(row[9] ~= nil and row[9] or row[7]))
    end
    return found
end

--- The first object of which something else is said; nil when there is none.
local function difference()
    local found = counted()
    for _, row in box.space.mts_objects:pairs() do
        local id, shown = tonumber(row[1]), 0
        objects.each_message(id, function() shown = shown + 1 end)
        local is = found[id] or { messages = 0, bytes = 0, shown = 0 }
        if is.messages ~= row[3] or is.bytes ~= row[5] or is.shown ~= shown then
            return { row[2], is, { messages = row[3], bytes = row[5], shown = shown } }
        end
        found[id] = nil
    end
    local id = next(found)
    return id and { "no row", id }
end

clock.freeze(now_ms)
for _, subject in ipairs({ "a", "b" }) do
    write("put_consumer", subject, "worker", "first", 0, "explicit", 500, 2, 50, "letters")
end
write("put_policy", "a", null, 60, null, "old", "acked", 1, null)
write("put_policy", "letters", null, 40, null, "new", "limits", null, null)
local wrong
for round = 1, rounds do
    one_of(calls)()
    if round % 25 == 0 then wrong = wrong or difference() end
end
while garbage.is_left() do fiber.yield() end
test:is_deeply(wrong or difference() or "none", "none", "every object holds what it is said to hold")

-- To the end: nothing is left that points anywhere.
clock.freeze(now_ms + 10000)
write("delete_policy", "letters")
while write("commit_due", 120000, 1000)[2] ~= null do now_ms = now_ms + 1 end
for _, subject in ipairs(subjects) do write("purge", subject, 1e9) end
while garbage.is_left() do fiber.yield() end
test:is_deeply({ box.space.mts_objects:len(), box.space.mts_spans:len(), box.space.mts_delayed:len() }, { 0, 0, 0 },
    "objects go with their last message, and their spans with them")
test:ok(box.space.mts_dead:len() > 0, "and are dead")

kit.finish(test)
