--- The functions that are exported, as data: name, kind and what runs. Requests and answers of the `mts_*` functions
-- are one msgpack value packed as binary, so that every number arrives exact and every byte as it is; an answer is
-- `{0, result}` or `{error number, text}`. The functions of old clients take and give plain values (`mts.legacy`).

local msgpack = require("msgpack")
local log = require("log")
local errors = require("mts.errors")
local number = require("mts.number")
local store = require("mts.store")
local wire = require("mts.wire")
local writer = require("mts.writer")

local M = {}

local function verb(name) return require("mts.verb." .. name) end

--- Reads see only what is durable.
local function read(name)
    local run = verb(name).run
    return function(request)
        return writer.prepared(function()
            writer.settle()
            return msgpack.encode({ 0, run(request) })
        end)
    end
end

--- Waits by itself.
local function wait(name)
    local run = verb(name).run
    return function(request) return msgpack.encode({ 0, run(request) }) end
end

--- Stands before an outcome that is the answer already; no msgpack begins with it.
local final = "\193"

--- What was answered to this call before, or nil when it is new.
local function remembered(client, slot, call, render)
    local row = box.space.mts_calls:get({ client, slot })
    if row == nil or row[3] < call then return nil end
    if row[3] > call or row[4] == "" then errors.raise("fenced", "the call was given up") end
    if render == nil then return row[4] end
    if row[4]:sub(1, 1) == final then return row[4]:sub(2) end
    return msgpack.encode(render((msgpack.decode(row[4]))))
end

--- Writes happen once however often they are sent: the outcome is recorded under client, slot and number in the same
-- transaction. A slot takes its numbers in ascending order, so that an old call that comes late is recognized. A verb
-- that renders its outcomes may give the answer with one, where it could not be rendered again. What a verb prepares
-- may take its time, and is done before the call takes its turn. What is upkeep has time, see `writer.write_along`.
local function write(name, has_time)
    local send = has_time and writer.write_along or writer.write
    local run, render, prepare = verb(name).run, verb(name).render, verb(name).prepare
    return function(request)
        local client, slot = request[1], number.uint(request[2], "slot")
        local call, arguments = number.uint(request[3], "call"), request[4]
        local prepared = prepare and prepare(arguments)
        return "\146\0" .. send(function(context)
            local before = remembered(client, slot, call, render)
            if before ~= nil then return before end
            local outcome, answer = run(context, arguments, prepared)
            local packed = msgpack.encode(answer or outcome)
            local kept = answer ~= nil and final .. packed or packed
            if store.changed then store.replace("mts_calls", { client, slot, call, kept }) end
            if render == nil or answer ~= nil then return packed end
            return msgpack.encode(render(outcome))
        end)
    end
end

--- Writes that are the same when they are repeated.
local function repeatable(name)
    local run = verb(name).run
    return function(request)
        return msgpack.encode({ 0, writer.write(function(context) return run(context, request) end) })
    end
end

local function unpack_request(packed)
    local done, request = pcall(function() return (msgpack.decode(wire.bytes(packed))) end)
    if not done or type(request) ~= "table" then
        errors.raise("malformed", "a request is one packed array")
    end
    return request
end

local function exported(run)
    return function(packed)
        local done, answer = pcall(function() return run(unpack_request(packed)) end)
        if done then return wire.answer(answer) end
        local code, reason = errors.describe(answer)
        if code == errors.code.internal then log.error("a call failed: %s", reason) end
        return wire.answer(msgpack.encode({ code, reason }))
    end
end

--- Said of what is upkeep, see `write`.
local has_time = true

--- Names and functions of everything that is exported.
function M.functions()
    local functions = {}
    for name, run in pairs({
        hello = read("hello"),
        heads = read("heads"),
        range = read("range"),
        sequence_at = read("sequence_at"),
        subjects = read("subjects"),
        subject = read("subject"),
        peek = read("peek"),
        referenced = read("referenced"),
        policies = read("policies"),
        count_dead = read("count_dead"),
        receipts = read("receipts"),
        delayed = read("delayed"),
        position = read("position"),
        consumer_backlogs = read("consumer_backlogs"),
        actor = read("actor"),
        actors = read("actors"),
        actor_positions = read("actor_positions"),
        actor_rows = read("actor_rows"),
        actor_range = read("actor_range"),
        actor_changes = read("actor_changes"),
        changes = wait("changes"),
        commit = write("commit"),
        purge = write("purge"),
        put_consumer = write("put_consumer"),
        consumer = write("consumer"),
        consumers = write("consumers"),
        delete_consumer = write("delete_consumer"),
        pull = write("pull"),
        ack = write("ack"),
        nack = write("nack"),
        commit_due = write("commit_due"),
        redrive = write("redrive"),
        take_sparse = write("take_sparse", has_time),
        move_bodies = write("move_bodies", has_time),
        put_policy = write("put_policy"),
        delete_policy = write("delete_policy"),
        expire = write("expire", has_time),
        take_dead = write("take_dead", has_time),
        hold_dead = write("hold_dead", has_time),
        forget_dead = write("forget_dead", has_time),
        condemn = write("condemn", has_time),
        actor_claim = write("actor_claim"),
        actor_commit = write("actor_commit"),
        actor_release = write("actor_release"),
        actor_reset = write("actor_reset"),
        measured = repeatable("measured"),
        fence = repeatable("fence"),
    }) do
        functions["mts_" .. name] = exported(run)
    end
    for name, run in pairs(require("mts.legacy").functions) do functions[name] = run end
    return functions
end

return M
