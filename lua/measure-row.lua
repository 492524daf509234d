#!/usr/bin/env tarantool
--- Measures what a message costs in memory: `tarantool lua/measure-row.lua [messages]`, a million when not told. Works
-- in a temporary folder that it removes, without a log, through the same verb that commits messages.

local fio = require("fio")
local folder = fio.abspath(fio.dirname(debug.getinfo(1, "S").source:sub(2)))
package.path = folder .. "/?.lua;" .. package.path

local messages = tonumber(arg[1]) or 1000000
local entries_per_call, subjects = 1000, 10
local bytes_target = 200

local data = fio.tempdir()
box.cfg({ work_dir = data, wal_mode = "none", log_level = 1, memtx_memory = 2 ^ 30, memtx_max_tuple_size = 8 * 2 ^ 20 })
require("mts.schema").upgrade()
local commit = require("mts.verb.commit")
local digest = require("digest")

local names = {}
for place = 1, subjects do names[place] = ("subject.%d"):format(place) end

local function used() return tonumber(box.slab.info().arena_used) end

--- As the server sends them: neighbours in one segment, bodies of a kilobyte, no headers.
local function entries_of(call)
    local entries = {}
    for place = 1, entries_per_call do
        local number = call * entries_per_call + place
        for _, item in ipairs({
            place % subjects + 1, 1, place * 1024, 1024, digest.sha256(tostring(number)), box.NULL, box.NULL, box.NULL,
        }) do entries[#entries + 1] = item end
    end
    return entries
end

local before = used()
for call = 1, messages / entries_per_call do
    local context = { now_ms = 1700000000000 + call, changes = {} }
    local object = ("s/0l3x/%017d"):format(call)
    box.begin()
    commit.run(context, { 120000, names, { object }, entries_of(call) })
    box.commit()
end
local stored = tonumber(box.space.mts_messages:len())
local bytes = (used() - before) / stored
print(("%d messages, %.1f bytes each, indexes and objects included"):format(stored, bytes))
print(("1 GiB holds %.1f million messages"):format(2 ^ 30 / bytes / 1e6))
fio.rmtree(data)
os.exit(bytes <= bytes_target and 0 or 1)
