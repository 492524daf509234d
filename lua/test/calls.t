#!/usr/bin/env tarantool
--- Calls that are sent more than once.
package.path = debug.getinfo(1, "S").source:match("^@(.*)/test/") .. "/?.lua;" .. package.path

local kit = require("test.kit")
local msgpack = require("msgpack")
local test = require("tap").test("calls")

kit.start()
require("mts.writer").start()
local functions = require("mts.api").functions()
local code = require("mts.errors").code
local calls = require("mts.calls")
local wire = require("mts.wire")

test:plan(10)

local function call(name, request)
    return (msgpack.decode(wire.bytes(functions[name](msgpack.encode(request))[1])))
end

local function commit(slot, number, object)
    local entry = { 1, 1, 0, 5, ("d"):rep(32), box.NULL, box.NULL, box.NULL }
    return call("mts_commit", { "client", slot, number, { 1000, { "orders" }, { object }, entry } })
end

local first = commit(0, 1, "a")
test:is(first[1], 0, "a commit")
test:is_deeply(commit(0, 1, "a"), first, "the same call is answered as the first time")
test:is(box.space.mts_messages:len(), 1, "and was made once")
test:is(commit(0, 2, "b")[2][2][1], 2, "the next in the slot is another")
test:is(commit(0, 1, "a")[1], code.fenced, "an old one that comes late is refused")

test:is_deeply(call("mts_fence", { "client", { 0, 2, 1, 7 } })[2], { true, false }, "fencing tells what was made")
test:is(commit(1, 7, "c")[1], code.fenced, "and what was not is not made any more")
test:is_deeply({ commit(1, 8, "c")[1], call("mts_fence", { "client", { 1, 7 } })[2][1] }, { 0, false },
    "the slot goes on, and an older fence changes nothing")

local pull = { "client", 2, 9, { "orders", "worker", 10, 1000, false, true } }
test:is_deeply(call("mts_pull", pull), call("mts_pull", pull), "a pull is answered with its rows again")

local gone = {}
for _ = 1, 61 do gone = calls.tick() end
test:is_deeply(gone, { "client" }, "a caller that makes no call for long is gone")

kit.finish(test)
