--- Consumers: their rows, how they are made, and their state.

local gone = require("mts.gone")
local store = require("mts.store")
local leases = require("mts.leases")
local times = require("mts.times")

local M = {}

--- A consumer that a fetch makes.
M.defaults = {
    start_kind = "first", start_value = 0, ack = "all", ack_wait_ms = 30000, max_deliver = 0, max_ack_pending = 1000,
}

local function row_of(tuple)
    if tuple == nil then return nil end
    return {
        id = tonumber(tuple[1]),
        subject = tuple[2],
        name = tuple[3],
        start_kind = tuple[4],
        start_value = tonumber(tuple[5]),
        ack = tuple[6],
        ack_wait_ms = tonumber(tuple[7]),
        max_deliver = tonumber(tuple[8]),
        max_ack_pending = tonumber(tuple[9]),
        acked_through = tonumber(tuple[10]),
        delivered_through = tonumber(tuple[11]),
        held = tonumber(tuple[12]),
        created_at = tonumber(tuple[13]),
        -- The position that it was made with: what is not behind it was never owed to it.
        started_after = store.optional(tuple[14]) or 0,
        -- Its last pull, ack or nack.
        active_at = store.optional(tuple[15]) or 0,
        -- The newest message that it acknowledged or gave up; 0 when there is none.
        acked_max = store.optional(tuple[16]) or 0,
        -- Where messages go whose deliveries are used up; nil when they are only settled.
        dead_letter = tuple[17] ~= nil and tuple[17] or nil,
        saved = {
            tonumber(tuple[10]), tonumber(tuple[11]), tonumber(tuple[12]), store.optional(tuple[15]),
            store.optional(tuple[16]),
        },
    }
end

--- A consumer, or nil.
function M.find(subject, name)
    return row_of(box.space.mts_consumers.index.name:get({ subject, name }))
end

--- Consumers of all subjects, in byte order of subject and name, strictly after one of them.
function M.list_all(after_subject, after_name, limit)
    local rows = {}
    local by_name = box.space.mts_consumers.index.name
    local tuples = by_name:select({ after_subject, after_name }, { iterator = "GT", limit = limit })
    for _, tuple in ipairs(tuples) do rows[#rows + 1] = row_of(tuple) end
    return rows
end

--- All consumers of a subject in byte order of their names.
function M.list(subject)
    local rows = {}
    local by_name = box.space.mts_consumers.index.name
    for _, tuple in ipairs(by_name:select({ subject })) do rows[#rows + 1] = row_of(tuple) end
    return rows
end

function M.count(subject)
    return box.space.mts_consumers.index.name:count({ subject })
end

--- Saves what changes of a consumer; nothing when nothing changed.
function M.save(consumer)
    local saved = consumer.saved
    if saved[1] == consumer.acked_through and saved[2] == consumer.delivered_through and saved[3] == consumer.held
        and saved[4] == consumer.active_at and saved[5] == consumer.acked_max then
        return
    end
    consumer.saved = {
        consumer.acked_through, consumer.delivered_through, consumer.held, consumer.active_at, consumer.acked_max,
    }
    store.update("mts_consumers", consumer.id, {
        { "=", 10, consumer.acked_through }, { "=", 11, consumer.delivered_through }, { "=", 12, consumer.held },
        { "=", 15, consumer.active_at }, { "=", 16, consumer.acked_max },
    })
end

--- Milliseconds between two signs of a consumer that are kept.
local sign_ms = 1000

--- Notes that somebody pulled, acknowledged or gave back under a consumer's name.
function M.sign(consumer, now_ms)
    if math.abs(now_ms - consumer.active_at) >= sign_ms then consumer.active_at = now_ms end
end

--- Forgets a consumer and everything it holds.
function M.remove(consumer)
    leases.remove(consumer)
    store.delete("mts_consumers", consumer.id)
end

--- The sequence after which a new consumer begins.
local function start_of(subject, config)
    local kind = config.start_kind
    if kind == "sequence" then return math.max(0, config.start_value - 1) end
    if subject == nil or kind == "first" then return 0 end
    if kind == "new" then return subject.last end
    return times.sequence_at(subject, config.start_value) - 1
end

--- Makes a consumer that is not there; its start is resolved now.
function M.make(subject_name, name, config, now_ms)
    local subject = store.subject(subject_name)
    local position = start_of(subject, config)
    -- What was deleted before the consumer came is settled for an explicit one; the others move by acknowledging only.
    if config.ack == "explicit" then position = math.max(position, (store.head(subject)) - 1) end
    local reached = position
    if config.ack == "explicit" and subject ~= nil then reached = gone.hop(subject.id, position) end
    local newest = box.space.mts_consumers.index.id:max()
    local id = newest == nil and 1 or tonumber(newest[1]) + 1
    return row_of(store.insert("mts_consumers", {
        id, subject_name, name, config.start_kind, config.start_value, config.ack, config.ack_wait_ms,
        config.max_deliver, config.max_ack_pending, position, reached, 0, now_ms, position, now_ms, 0,
        config.dead_letter,
    }))
end

--- The consumer that a pull would make, for a peek that makes none.
function M.unmade(subject, name)
    local consumer = {
        id = 0, subject = subject, name = name, acked_through = 0, delivered_through = 0, held = 0, started_after = 0,
        active_at = 0, acked_max = 0,
    }
    for key, value in pairs(M.defaults) do consumer[key] = value end
    return consumer
end

--- Whether a consumer was made with this configuration, compared as it was given.
function M.is_configured(consumer, config)
    for key in pairs(M.defaults) do
        if consumer[key] ~= config[key] then return false end
    end
    return consumer.dead_letter == config.dead_letter
end

--- The sequence up to which everything is acknowledged; `subject` is as it is shown now, or nil.
function M.position(consumer, subject, now_ms)
    if consumer.ack == "all" then return consumer.acked_through end
    if subject ~= nil and (subject.is_cut or subject.hidden) then
        leases.pass(consumer, subject.first - 1, subject.hidden)
    end
    return leases.acked_through(consumer, now_ms)
end

--- How far behind a consumer is, by a look alone: what is stored and not settled, and what is leased or nacked.
function M.backlog(consumer)
    local subject = store.subject(consumer.subject)
    if consumer.ack == "all" then return gone.stored_after(subject, consumer.acked_through), 0 end
    local stored = gone.stored_after(subject, consumer.delivered_through)
    return stored - leases.ahead_count(consumer) + consumer.held, consumer.held
end

--- The state as `{name, subject, ack, acked_through, delivered_through, pending, ack_pending, redelivered,
-- created_at, dead_letter or null}`. What is overdue is to be given up before (see `mts.giving_up`).
function M.state(consumer, now_ms)
    local subject = store.subject(consumer.subject)
    local function stored_after(sequence) return gone.stored_after(subject, sequence) end
    if consumer.ack == "all" then
        return {
            consumer.name, consumer.subject, "all", consumer.acked_through, consumer.delivered_through,
            stored_after(consumer.acked_through), 0, 0, consumer.created_at,
        }
    end
    local pending = stored_after(consumer.delivered_through) - leases.ahead_count(consumer) + consumer.held
    local acked_through = leases.acked_through(consumer, now_ms)
    return {
        consumer.name, consumer.subject, "explicit", acked_through, consumer.delivered_through, pending, consumer.held,
        leases.redelivered(consumer), consumer.created_at, consumer.dead_letter,
    }
end

--- Where a consumer began that was made before that was kept, as nearly as it is known now.
local function likely_start(consumer, subject)
    local kind = consumer.start_kind
    local position = 0
    if kind == "sequence" then
        position = math.max(0, consumer.start_value - 1)
    elseif kind ~= "first" and subject ~= nil then
        local since = kind == "new" and consumer.created_at + 1 or consumer.start_value
        position = times.sequence_at(subject, since) - 1
    end
    return math.min(position, consumer.ack == "all" and consumer.acked_through or consumer.delivered_through)
end

--- Completes rows from before there were recipients. For the upgrade; may be repeated.
function M.complete()
    for _, tuple in ipairs(box.space.mts_consumers:select()) do
        if tuple[14] == nil then
            local consumer = row_of(tuple)
            local started_after = likely_start(consumer, store.subject(consumer.subject))
            local acked = consumer.acked_through
            if consumer.ack == "explicit" then acked = leases.lowest_pending(consumer) - 1 end
            store.update("mts_consumers", consumer.id, {
                { "=", 14, started_after }, { "=", 15, consumer.created_at },
                { "=", 16, acked > started_after and acked or 0 },
            })
        end
    end
end

return M
