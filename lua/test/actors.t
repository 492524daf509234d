#!/usr/bin/env tarantool
--- Steps of actors: sent twice, refused among others, told by the feed, and when memory is short.
package.path = debug.getinfo(1, "S").source:match("^@(.*)/test/") .. "/?.lua;" .. package.path

local kit = require("test.kit")
local fiber = require("fiber")
local test = require("tap").test("actors")

kit.start()
local capacity = require("mts.capacity")
local clock = require("mts.clock")
local code = require("mts.errors").code
local feed = require("mts.feed")
local policies = require("mts.policies")
local read, write = kit.connect()
local writer = require("mts.writer")
writer.start()
local now_ms = 1700000000000
clock.freeze(now_ms)

test:plan(23)

local null = box.NULL
local window_ms = 120000

local function message(subject, expected_last)
    return { window_ms, { subject }, { "object" }, { 1, 1, 0, 5, ("d"):rep(32), null, null, expected_last or null } }
end

--- A step after a revision; `change` has what is not as it is for a step that only renews the lease.
local function step(fence, revision, change)
    change = change or {}
    local function given(value) if value == nil then return null end return value end
    return write("actor_commit", "counter", fence, revision, 6000, given(change.state), given(change.alarm),
        given(change.failure), change.positions or {}, change.rows or {}, given(change.commit))
end

local claim, claim_again = write("actor_claim", "counter", "a", 6000)
test:is_deeply(claim, { 0, { { 1, "counter", 1, 1, 0, "a", 6000, null, 0, null, now_ms }, null } }, "a claim")
test:is_deeply(claim_again(), claim, "sent again is the same claim")
test:is_deeply((write("actor_claim", "counter", "b", 6000)), { 1, "a", 6000 }, "somebody else does not get it")

local life, position = unpack(feed.now())
local answer, again = step(1, 0, {
    state = "state", alarm = 99, failure = "why", positions = { "orders", 7 }, rows = { "key", "value" },
    commit = message("made"),
})
test:is_deeply(answer, { 0, 1, { { now_ms }, { 1 }, {} } }, "a step")
test:is_deeply(again(), answer, "sent again is answered with its outcomes")
test:is_deeply((step(1, 0, { rows = { "key", "other" }, commit = message("made") })), { 0, 1, null },
    "as another call it was done before")
test:is_deeply(feed.after(life, position, 0)[5], { "made", 1, 1 }, "the feed tells of what it published, once")
test:is_deeply(box.space.mts_messages:len(), 1, "which is one message")
local function told()
    local found = read("actor", "counter")
    return { found[1][8], found[1][9], found[1][10], found[2][2] }
end
test:is_deeply(told(), { 99, 1, "why", "state" }, "alarm, failure and state are there")
step(1, 1, { alarm = false })
test:is_deeply(told(), { null, 1, "why", "state" }, "and the alarm goes")

-- A refused step in one transaction with calls that are not.
box.space.mts_policies:truncate()
policies.forget()
local results, open = {}, 0
local function beside(place, run)
    open = open + 1
    fiber.create(function()
        results[place] = run()
        open = open - 1
    end)
end
life, position = unpack(feed.now())
beside(1, function() return (write("commit", unpack(message("others")))) end)
beside(2, function()
    return (step(1, 2, {
        state = "undone", positions = { "undone", 1 }, rows = { "undone", "undone" },
        commit = { window_ms, { "undone", "others" }, { "undone" },
            { 1, 1, 0, 5, ("d"):rep(32), null, "id", null, 2, 1, 0, 5, ("d"):rep(32), null, null, 77 } },
    }))
end)
beside(3, function() return (write("commit", unpack(message("others")))) end)
while open > 0 do fiber.yield() end
test:is_deeply(results[2], { 2, null, { { now_ms, now_ms }, { 1, 2 }, { 2, { 2, 1 } } } }, "a refused step says why")
test:is_deeply({ results[1][2], results[3][2] }, { { 1 }, { 2 } }, "what is beside it is done")
test:is_deeply(feed.after(life, position, 0)[5], { "others", 1, 2 }, "and told, and nothing of the step")
test:is_deeply({
    read("subject", "undone"), box.space.mts_message_ids:len(), box.space.mts_objects.index.name:get("undone") or null,
    #read("actor_range", "counter", "", null, 10), #read("actor_positions", "counter", "", 10), told()[4],
}, { null, 0, null, 1, 3, "state" }, "nothing of the step is there")

-- Who is short of memory keeps the lease.
local is_left = capacity.is_left
capacity.is_left = function() return false end
test:is((kit.refusal(step, 1, 2, { rows = { "more", "more" } })), code.storage_full, "without room a step is refused")
test:is_deeply((step(1, 2)), { 0, 3, null }, "but not one that renews the lease")
capacity.is_left = is_left

-- What a claim answered stays what it answered, whoever came after.
clock.freeze(now_ms + 10000)
local late, late_again = write("actor_claim", "counter", "a", 6000)
clock.freeze(now_ms + 20000)
writer.write(function(context) return require("mts.verb.actor_claim").run(context, { "counter", "b", 6000 }) end)
test:is(late[2][1][4], late_again()[2][1][4], "a claim that is sent again never gets a fence of somebody else")
test:is_deeply({ late[2][1][4], (step(2, 3)) }, { 2, { 1 } }, "and is fenced")

-- Rows of former generations go piece by piece.
local rows = {}
for place = 1, 1100 do rows[2 * place - 1], rows[2 * place] = ("k%d"):format(place), "old" end
step(3, 3, { rows = rows })
write("actor_reset", "counter")
write("actor_claim", "counter", "a", 6000)
local left = {}
for revision = 4, 7 do
    step(5, revision, { rows = { "new", "new" } })
    left[#left + 1] = box.space.mts_actor_rows:len()
end
test:is_deeply(left, { 602, 102, 1, 1 }, "500 of them with each step")
test:is_deeply(#read("actor_range", "counter", "", null, 10000), 1, "and none is shown")
test:is((write("actor_release", "counter", 5)), true, "the lease is given back")

-- Rows in numbers at which the compiler has compiled how they are written.
write("actor_claim", "counter", "a", 6000)
local mark = read("actor_changes", "counter", null, 0)[1]
for revision = 8, 11 do
    local many = {}
    for place = 1, 4000 do many[2 * place - 1], many[2 * place] = ("n%d"):format(place), "value" end
    step(6, revision, { rows = many })
end
local changes = read("actor_changes", "counter", mark, 10000)
test:is_deeply({ #changes[2], #changes[3] }, { 4000, 0 }, "each row that was written is told once")
step(6, 12, { rows = { "n1", null, "n2", "other" } })
changes = read("actor_changes", "counter", changes[1], 10000)
test:is_deeply({ #changes[2], changes[2][1][4], changes[3] }, { 1, "other", { "n1" } }, "and those that are gone")

kit.finish(test)
