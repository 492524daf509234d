#!/usr/bin/env tarantool
--- Bytes of rows and answers.
package.path = debug.getinfo(1, "S").source:match("^@(.*)/test/") .. "/?.lua;" .. package.path

local kit = require("test.kit")
local msgpack = require("msgpack")
local test = require("tap").test("wire")

kit.start()
local wire = require("mts.wire")
local code = require("mts.errors").code
local number = require("mts.number")

local function built(build)
    wire.reset()
    build()
    return wire.built()
end

test:plan(12)

local numbers = { 0, 1, 127, 128, 255, 256, 65535, 65536, 2 ^ 32 - 1, 2 ^ 32, 1e14, 2 ^ 53 - 1 }
local same = true
for _, value in ipairs(numbers) do
    same = same and built(function() wire.uint(value) end) == msgpack.encode(value)
end
test:ok(same, "numbers are packed as the database packs them")

same = true
for _, length in ipairs({ 0, 31, 32, 255, 256, 65535, 65536, 100000 }) do
    local text = ("x"):rep(length)
    same = same and built(function() wire.text(text) end) == msgpack.encode(text)
end
test:ok(same, "text of every length, beyond the first buffer too")

test:is(built(function() wire.binary("\0\255") end), "\196\2\0\255", "bytes are bin")
test:is(built(function() wire.flat_map({ "a", "b" }) end), msgpack.encode({ a = "b" }), "a flat map")

local answer = wire.answer("\0\255")
test:ok(box.tuple.is(answer), "an answer is a tuple")
test:is(msgpack.encode(answer), "\145\196\2\0\255", "of one binary field")

local store = require("mts.store")
box.begin()
store.insert_message(1, 2 ^ 53 - 1, 1700000000000, 5, 2 ^ 40, 2 ^ 52, 2 ^ 40, ("d"):rep(32), { "name", "value" })
box.commit()
local row = box.space.mts_messages:get({ 1, 2 ^ 53 - 1 })
test:is_deeply({ tonumber(row[2]), tonumber(row[6]), wire.bytes(row[8]), row[9] },
    { 2 ^ 53 - 1, 2 ^ 52, ("d"):rep(32), { name = "value" } }, "a row comes back as it was")
test:is(kit.refusal(store.insert_message, 1, 2 ^ 53 - 1, 1, 5, 0, 0, 0, ("d"):rep(32)), code.internal,
    "a row is not written over")

test:is_deeply({ store.delete_message(1, 2 ^ 53 - 1) }, { 5, 2 ^ 40, nil, 2 ^ 40, 2 ^ 40 },
    "what is deleted tells its object, bytes there, end of life, length and running sum")
test:is(store.delete_message(1, 2 ^ 53 - 1), nil, "what is not there is not deleted")
same = true
for place, value in ipairs(numbers) do
    box.space.mts_expiring:insert({ value, value, value })
    store.delete_expiring(value, value, value)
    store.insert_message(1, place, value, value, value, value, value, ("d"):rep(32), { "name", "value" }, value, value)
    local told = { store.delete_message(1, place) }
    for _, number_told in ipairs(told) do same = same and number_told == value end
    same = same and #told == 5
end
test:ok(same and box.space.mts_expiring:len() == 0, "keys and fields of every width")

local refused = { -1, 1.5, 2 ^ 53, "1", 0 / 0, 9007199254740992ULL, -1LL, {} }
local all = number.uint(9007199254740991ULL, "n") == 2 ^ 53 - 1
for _, value in ipairs(refused) do all = all and kit.refusal(number.uint, value, "n") == code.malformed end
test:ok(all, "numbers are exact or refused")

kit.finish(test)
