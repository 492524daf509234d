#!/usr/bin/env tarantool
--- Which policy is for a subject, and that what is known of them follows the rows.
package.path = debug.getinfo(1, "S").source:match("^@(.*)/test/") .. "/?.lua;" .. package.path

local kit = require("test.kit")
local test = require("tap").test("policies")

kit.start()
local policies = require("mts.policies")
local writer = require("mts.writer")
local code = require("mts.errors").code
writer.start()

test:plan(11)

local function put(filter, messages)
    return writer.write(function() return policies.put(filter, { nil, messages, nil, "old" }, 1) end)
end

--- Which of the policies, named by their messages, is for a subject.
local function of(subject)
    local policy = policies.of(subject)
    return policy and policy.max_messages
end

test:ok(policies.is_empty() and of("a") == nil, "without policies everything is kept")
test:is_deeply({ put("a.>", 1), put("a.>", 1), put("a.>", 2) }, { "created", "same", "replaced" }, "set")
test:is(of("a.b"), 2, "and known")
for place, filter in ipairs({ ">", "*.b", "a.*", "a.b", "a.*.c", "*.*.>", "a.b.>" }) do put(filter, place + 10) end
local found = {}
for place, subject in ipairs({ "z", "z.b", "a.z", "a.b", "a.z.c", "a.z.z", "z.z.z", "a.b.c", "a.b.c.d" }) do
    found[place] = of(subject)
end
test:is_deeply(found, { 11, 12, 13, 14, 15, 2, 16, 17, 17 }, "a token before *, * before >, from the left")

local _, refused = pcall(writer.write, function()
    policies.put("a.b", { nil, 99, nil, "old" }, 1)
    of("a.b")
    error("refused", 0)
end)
test:is_deeply({ refused, of("a.b") }, { "refused", 14 }, "what was undone is not known")
writer.write(function() return policies.remove("a.b") end)
test:is(of("a.b"), 13, "what was taken away neither")
box.space.mts_policies:replace({ "a.b", 5, box.NULL, box.NULL, "new" })
test:is_deeply(policies.of("a.b"), { max_age_ms = 5, discard = "new", retain = "limits", put_at = 0 },
    "a row that came by replication is, also one from before there were recipients")

test:is(kit.refusal(put, "b", 0), code.malformed, "a limit is at least 1")
test:is(kit.refusal(policies.put, "b", { nil, nil, nil, "none" }, 1), code.malformed, "old or new goes, nothing else")
for place = box.space.mts_policies:len() + 1, policies.max do put("many." .. place, 1) end
test:is(kit.refusal(put, "one.more", 1), code.too_many_policies, "so many and no more")
test:is(put("a.*", 77), "replaced", "but others of what is there")

kit.finish(test)
