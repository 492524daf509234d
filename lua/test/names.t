#!/usr/bin/env tarantool
--- What old clients may name.
package.path = debug.getinfo(1, "S").source:match("^@(.*)/test/") .. "/?.lua;" .. package.path

local kit = require("test.kit")
local test = require("tap").test("names")

kit.start({ schema = false })
local names = require("mts.names")
local code = require("mts.errors").code

test:plan(6)

local function all(check, expected, values)
    for _, value in ipairs(values) do
        if kit.refusal(check, value) ~= expected then
            test:diag("unexpected: " .. tostring(value))
            return false
        end
    end
    return true
end

test:ok(all(names.subject, nil, {
    "a", "a.b", "a-b_c/d:e@f%g+h=i~j", "заказы.новые", "日本.京都", "é", ("a"):rep(255),
    "1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16",
}), "subjects")
test:ok(all(names.subject, code.invalid_subject, {
    "", ".", "a.", ".a", "a..b", "a b", "a*", "*", ">", "$a", "a\0", "a\n", "a\255", "e\204\129", "\226\132\170",
    "\226\128\139", ("a"):rep(256), ("é"):rep(128), "1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17", 5, {}, box.NULL,
}), "no subjects")
test:ok(all(names.consumer, nil, { "a", "a..b", ".", "имя" }), "consumer names")
test:ok(all(names.consumer, code.invalid_consumer, { "", "a b", ("a"):rep(256), 5 }), "no consumer names")

local headers = { names.headers(nil) or "none", names.headers({}) or "none", names.headers({ n = 5 }) }
test:is_deeply(headers, { "none", "none", { "n", "5" } }, "headers")
local many = {}
for place = 1, 1001 do many["n" .. place] = "" end
test:ok(all(names.headers, code.invalid_header, {
    "text", { a = {} }, { a = "\255" }, { ["\255"] = "a" }, { a = ("x"):rep(65536) }, many,
}), "no headers")

kit.finish(test)
