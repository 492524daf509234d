#!/usr/bin/env tarantool
--- The chain of upgrades.
package.path = debug.getinfo(1, "S").source:match("^@(.*)/test/") .. "/?.lua;" .. package.path

local kit = require("test.kit")
local test = require("tap").test("schema")

kit.start({ schema = false })
local schema = require("mts.schema")

test:plan(8)

test:is(schema.version(), 0, "a new database has version 0")
schema.upgrade(1)
test:is(schema.version(), 1, "a step is recorded")
test:ok(box.space.mts_calls == nil, "later steps wait")
local epoch = schema.epoch()
schema.upgrade()
test:is(schema.version(), schema.newest, "the rest follows")
test:ok(box.space.mts_calls ~= nil and box.space.mts_measured ~= nil, "with its spaces")
schema.upgrade()
test:is_deeply({ schema.version(), schema.epoch() }, { schema.newest, epoch }, "again is nothing, and the epoch stays")
box.space.mts_store:replace({ "schema_version", 0 })
schema.upgrade()
test:is(schema.version(), schema.newest, "every step can be repeated")
box.space.mts_store:replace({ "schema_version", schema.newest + 1 })
test:ok(not pcall(schema.upgrade), "a newer database is refused")

kit.finish(test)
