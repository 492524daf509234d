#!/usr/bin/env tarantool
--- Messages that go from anywhere, against a model that is too simple to be wrong: random steps, the same for each
-- seed. The model knows of each message whether it is there, and of each consumer what is settled; what a policy
-- releases it decides message by message.
package.path = debug.getinfo(1, "S").source:match("^@(.*)/test/") .. "/?.lua;" .. package.path

local kit = require("test.kit")
local msgpack = require("msgpack")
local test = require("tap").test("lifecycle")

kit.start({ wal_mode = "none" })
local acked = require("mts.acked")
local clock = require("mts.clock")
local check = require("mts.check")
local wire = require("mts.wire")
local functions = require("mts.api").functions()
require("mts.writer").start()
require("mts.garbage").start()
local fiber = require("fiber")

local seeds, steps = tonumber(os.getenv("MTS_SEEDS")) or 12, 150
local null, digest = box.NULL, ("d"):rep(32)
local call_number = 0

local function decoded(answer)
    local code, result = unpack((msgpack.decode(wire.bytes(answer[1]))))
    if code ~= 0 then error(("%s: %s"):format(code, tostring(result)), 0) end
    return result
end

local function read(name, ...)
    return decoded(functions["mts_" .. name](msgpack.encode({ ... })))
end

local function write(name, request)
    call_number = call_number + 1
    return decoded(functions["mts_" .. name](msgpack.encode({ "client", 0, call_number, request })))
end

local now
local function set_now(ms)
    now = ms
    clock.freeze(ms)
end
set_now(1700000000000)

-- The model --------------------------------------------------------------------------------------------------------

local model

local function new_model(subject)
    return { subject = subject, last = 0, messages = {}, consumers = {}, names = {}, policy = nil, put_at = 0 }
end

local function is_alive(sequence)
    local message = model.messages[sequence]
    return message ~= nil and not message.is_gone
end

local function settle(consumer, sequence)
    consumer.settled[sequence], consumer.leases[sequence] = true, nil
end

local function remove(sequence)
    model.messages[sequence].is_gone = true
    for _, consumer in pairs(model.consumers) do
        if consumer.ack == "explicit" then settle(consumer, sequence) end
    end
end

local function age()
    for sequence = 1, model.last do
        local message = model.messages[sequence]
        local is_old = model.policy and model.policy.max_age and message.time + model.policy.max_age <= now
        if is_alive(sequence) and (is_old or message.expires_at and message.expires_at <= now) then remove(sequence) end
    end
end

local function alive()
    local sequences = {}
    for sequence = 1, model.last do
        if is_alive(sequence) then sequences[#sequences + 1] = sequence end
    end
    return sequences
end

local function has_acked(consumer, sequence)
    if consumer == nil or sequence <= consumer.started_after then return false end
    if consumer.ack == "all" then return sequence <= consumer.acked_through end
    return consumer.settled[sequence] == true
end

local function acked_or_later(sequence)
    for _, name in ipairs(model.policy.recipients) do
        local consumer = model.consumers[name]
        if consumer ~= nil and consumer.acked_max >= sequence then return true end
    end
    return false
end

local function is_released(sequence)
    local recipients = model.policy and model.policy.recipients
    if recipients == nil then return false end
    if type(recipients) == "number" then
        local count = 0
        for _, consumer in pairs(model.consumers) do
            if has_acked(consumer, sequence) then count = count + 1 end
        end
        return count >= recipients
    end
    for _, name in ipairs(recipients) do
        local consumer = model.consumers[name]
        local sign, timeout = consumer and consumer.active_at or model.put_at, model.policy.timeout
        local is_timed_out = timeout and now >= math.max(sign, model.messages[sequence].time) + timeout
        local is_exempt = consumer ~= nil and sequence <= consumer.started_after
        if not (is_timed_out or is_exempt or has_acked(consumer, sequence)) then return false end
    end
    return acked_or_later(sequence)
end

--- What goes by limits, after a commit or a sweep.
local function trim()
    age()
    if model.policy == nil then return end
    local sequences = alive()
    local bytes = 0
    for _, sequence in ipairs(sequences) do bytes = bytes + model.messages[sequence].length end
    local messages = #sequences
    for place, sequence in ipairs(sequences) do
        local is_many = model.policy.max_messages and messages > model.policy.max_messages
        local is_much = model.policy.max_bytes and bytes > model.policy.max_bytes and place < #sequences
        if not is_many and not is_much then break end
        remove(sequence)
        messages, bytes = messages - 1, bytes - model.messages[sequence].length
    end
end

local function sign(consumer)
    if math.abs(now - consumer.active_at) >= 1000 then consumer.active_at = now end
end

local function cursor(consumer)
    local position = consumer.delivered
    while consumer.settled[position + 1] and position < model.last do position = position + 1 end
    consumer.delivered = position
    return position
end

-- What is compared ----------------------------------------------------------------------------------------------------

local problem
local function expect(actual, expected, what)
    local left, right = msgpack.encode(actual), msgpack.encode(expected)
    if left == right or problem ~= nil then return end
    local json = require("json")
    problem = ("%s: %s, not %s"):format(what, json.encode(actual), json.encode(expected))
end

--- Compares what is there; of `settled` what is released must be gone.
local function compare(settled)
    local answer = read("range", model.subject, 0, 100000, 2 ^ 50)
    local shown, is_shown = {}, {}
    for place, row in ipairs(answer[3]) do
        shown[place] = tonumber(row[2])
        is_shown[shown[place]] = true
    end
    local may_be_gone = {}
    for _, sequence in ipairs(alive()) do
        if not is_shown[sequence] then
            if is_released(sequence) then may_be_gone[#may_be_gone + 1] = sequence else
                expect(sequence, null, "gone and not released")
            end
        end
    end
    for _, sequence in ipairs(shown) do
        if not is_alive(sequence) then expect(sequence, null, "shown and gone") end
        if settled and settled[sequence] and is_released(sequence) then
            expect(sequence, null, "released and not gone")
        end
    end
    for _, sequence in ipairs(may_be_gone) do remove(sequence) end
    local bytes = 0
    for _, sequence in ipairs(shown) do bytes = bytes + model.messages[sequence].length end
    expect({ answer[1], answer[2] }, { shown[1] or model.last + 1, model.last }, "head")
    local details = read("subject", model.subject)
    if model.last > 0 then
        expect({ details[2], details[3], details[4], details[5] },
            { shown[1] or model.last + 1, model.last, #shown, bytes }, "subject")
    end
    local time = now - math.random(0, 3000)
    local at = model.last + 1
    for place = #shown, 1, -1 do
        if model.messages[shown[place]].time >= time then at = shown[place] end
    end
    expect(read("sequence_at", model.subject, time), at, "sequence at a time")
    return shown
end

local function compare_consumers(shown)
    for _, name in ipairs(model.names) do
        local consumer = model.consumers[name]
        local state = write("consumer", { model.subject, name })
        local pending, held, lowest = 0, 0, nil
        for _, sequence in ipairs(shown) do
            local is_settled = consumer.settled[sequence]
            if consumer.ack == "all" then is_settled = sequence <= consumer.acked_through end
            if not is_settled then pending = pending + 1 end
        end
        for sequence in pairs(consumer.leases) do
            held, lowest = held + 1, math.min(lowest or sequence, sequence)
        end
        local acked_through = consumer.acked_through
        if consumer.ack == "explicit" then acked_through = (lowest or cursor(consumer) + 1) - 1 end
        expect({ state[4], state[6], state[7] }, { acked_through, pending, held }, "state of " .. name)
    end
    expect(read("subject", model.subject)[4], #shown, "messages after looking")
end

-- Steps ---------------------------------------------------------------------------------------------------------------

local function pick(list) return list[math.random(#list)] end

local step = {}

function step.commit()
    age()
    local entries, extras, count = {}, {}, math.random(1, 6)
    for place = 1, count do
        local ttl = math.random(3) == 1 and math.random(1, 3000) or nil
        local length, sha256 = math.random(0, 20), digest
        -- What an old client publishes is measured later.
        local is_named_only = math.random(6) == 1
        if is_named_only then length, sha256 = null, null end
        for _, item in ipairs({ 1, 1, 0, length, sha256, null, null, null }) do entries[#entries + 1] = item end
        if ttl ~= nil then
            for _, item in ipairs({ place, null, ttl, null, null }) do extras[#extras + 1] = item end
        end
        model.last = model.last + 1
        model.messages[model.last] = {
            time = now, expires_at = ttl and now + ttl, length = is_named_only and 0 or length,
            is_named_only = is_named_only,
        }
    end
    write("commit", { 1000, { model.subject }, { "object-" .. call_number }, entries, #extras > 0 and extras or null })
    trim()
end

function step.measured()
    local sequence = math.random(1, math.max(1, model.last))
    local message = model.messages[sequence]
    if not is_alive(sequence) or not message.is_named_only then return end
    message.length, message.is_named_only = math.random(1, 20), false
    decoded(functions.mts_measured(msgpack.encode({ { model.subject, sequence, message.length, digest } })))
end

function step.consumer()
    if #model.names >= 4 then return end
    local name = "c" .. (#model.names + 1)
    local ack, kind = pick({ "all", "explicit" }), pick({ "first", "first", "new" })
    write("put_consumer", { model.subject, name, kind, 0, ack, 1000, 0, 20 })
    local consumer = { ack = ack, settled = {}, leases = {}, acked_max = 0, active_at = now }
    local first = model.last + 1
    for sequence = model.last, 1, -1 do if is_alive(sequence) then first = sequence end end
    consumer.started_after = kind == "new" and model.last or 0
    if ack == "explicit" then consumer.started_after = math.max(consumer.started_after, first - 1) end
    consumer.acked_through = consumer.started_after
    consumer.delivered = consumer.started_after
    for sequence = 1, model.last do
        if sequence <= consumer.started_after or not is_alive(sequence) then consumer.settled[sequence] = true end
    end
    model.consumers[name], model.names[#model.names + 1] = consumer, name
end

local function ack_all(consumer, sequence, settled)
    for each = consumer.acked_through + 1, sequence do settled[each] = true end
    if sequence <= consumer.acked_through then return end
    consumer.acked_through = sequence
    consumer.acked_max = math.max(consumer.acked_max, sequence)
end

local function ack_one(consumer, sequence, settled)
    if not consumer.settled[sequence] then settled[sequence] = true end
    if sequence > consumer.started_after then consumer.acked_max = math.max(consumer.acked_max, sequence) end
    settle(consumer, sequence)
end

function step.pull()
    local name = pick(model.names)
    if name == nil then return end
    local consumer, auto_ack, limit = model.consumers[name], math.random(3) == 1, math.random(1, 8)
    local expected, settled = {}, {}
    if consumer.ack == "all" then
        for sequence = consumer.acked_through + 1, model.last do
            if is_alive(sequence) and #expected < limit then expected[#expected + 1] = sequence end
        end
        if auto_ack and #expected > 0 then ack_all(consumer, expected[#expected], settled) end
    else
        local again = {}
        for sequence, due_at in pairs(consumer.leases) do if due_at <= now then again[#again + 1] = sequence end end
        table.sort(again)
        local room = 20
        for _ in pairs(consumer.leases) do room = room - 1 end
        for _, sequence in ipairs(again) do if #expected < limit then expected[#expected + 1] = sequence end end
        if auto_ack then room = math.huge end
        for sequence = cursor(consumer) + 1, model.last do
            local is_new = is_alive(sequence) and not consumer.settled[sequence] and not consumer.leases[sequence]
            if is_new and #expected < limit and room > 0 then
                expected[#expected + 1], room = sequence, room - 1
            end
        end
        for _, sequence in ipairs(expected) do
            if auto_ack then ack_one(consumer, sequence, settled) else consumer.leases[sequence] = now + 1000 end
        end
        consumer.delivered = math.max(consumer.delivered, expected[#expected] or 0)
        for _, sequence in ipairs(expected) do consumer.delivered = math.max(consumer.delivered, sequence) end
    end
    sign(consumer)
    local peeked = not auto_ack and read("peek", model.subject, name, limit, 2 ^ 50) or nil
    local answer = write("pull", { model.subject, name, limit, 2 ^ 50, auto_ack, false })
    local function sequences_of(rows)
        local sequences = {}
        for place, row in ipairs(rows) do sequences[place] = tonumber(row[2]) end
        return sequences
    end
    expect(sequences_of(answer[9]), expected, "pulled")
    if peeked then expect(sequences_of(peeked[9]), expected, "peeked") end
    return settled
end

function step.ack()
    local name = pick(model.names)
    if name == nil or model.last == 0 then return end
    local consumer, settled = model.consumers[name], {}
    sign(consumer)
    if consumer.ack == "all" then
        local through = math.random(0, model.last)
        ack_all(consumer, through, settled)
        write("ack", { { model.subject, name, through, null } })
        return settled
    end
    local through, sequences = 0, {}
    if math.random(3) == 1 then through = math.random(math.max(1, model.last - 30), model.last) end
    for place = 1, math.random(0, 4) do sequences[place] = math.random(math.max(1, model.last - 30), model.last) end
    for _, sequence in ipairs(sequences) do ack_one(consumer, sequence, settled) end
    for sequence = 1, through do ack_one(consumer, sequence, settled) end
    consumer.delivered = math.max(consumer.delivered, through)
    write("ack", { { model.subject, name, through, sequences } })
    return settled
end

function step.purge()
    if math.random(4) > 1 then return end
    local through = math.random(0, model.last)
    local removed = 0
    for sequence = 1, through do
        if is_alive(sequence) then
            remove(sequence)
            removed = removed + 1
        end
    end
    expect(write("purge", { model.subject, through }), removed, "purged")
end

function step.time()
    set_now(now + math.random(1, 1500))
    age()
end

function step.policy()
    local policy = pick({
        {}, { recipients = { "c1" } }, { recipients = { "c1", "c2" } }, { recipients = { "c1", "c2" }, timeout = 2000 },
        { recipients = 1 }, { recipients = 2 }, { max_messages = 15 }, { max_bytes = 150 }, { max_age = 4000 },
        { recipients = { "c2", "c3" }, max_messages = 30 },
    })
    -- What is too old and was not removed comes back when the policy goes.
    step.expire()
    model.policy, model.put_at = policy, now
    if next(policy) == nil then
        write("delete_policy", { model.subject })
    else
        local status = write("put_policy", {
            model.subject, policy.max_age or null, policy.max_messages or null, policy.max_bytes or null, "old",
            policy.recipients and "acked" or "limits", policy.recipients or null, policy.timeout or null,
        })
        if status == "same" then model.put_at = model.same_at else model.same_at = now end
    end
    age()
end

function step.expire()
    -- Releasing comes before the limits.
    for _, sequence in ipairs(alive()) do
        if is_released(sequence) then remove(sequence) end
    end
    trim()
    expect(write("expire", { "", 1000 })[2], null, "no more subjects")
end

local weighted = { "commit", "commit", "commit", "pull", "pull", "ack", "ack", "ack", "time", "purge", "consumer",
    "policy", "expire", "measured" }

local function run(seed)
    math.randomseed(seed)
    -- Both ways in which a beginning goes.
    acked.cut_min = seed % 2 == 0 and 1 or 256
    model = new_model("model." .. seed)
    for number = 1, steps do
        local name = number <= 2 and ({ "commit", "consumer" })[number] or pick(weighted)
        local shown = compare(step[name]())
        if math.random(3) == 1 then compare_consumers(shown) end
        if problem ~= nil then return ("seed %d, step %d, %s: %s"):format(seed, number, name, problem) end
    end
end

test:plan(2)
local found
for seed = 1, seeds do found = found or run(seed) end
test:is(found, nil, "as the model says")
while box.space.mts_garbage:len() > 0 do fiber.yield() end
check.run()
test:is_deeply(check.warnings, {}, "and the check at boot finds nothing missing")
kit.finish(test)
