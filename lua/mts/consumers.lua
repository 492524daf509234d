--- Consumers: their rows, how they are made, and their state.

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
        saved = { tonumber(tuple[10]), tonumber(tuple[11]), tonumber(tuple[12]) },
    }
end

--- A consumer, or nil.
function M.find(subject, name)
    return row_of(box.space.mts_consumers.index.name:get({ subject, name }))
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
    if saved[1] == consumer.acked_through and saved[2] == consumer.delivered_through and saved[3] == consumer.held then
        return
    end
    consumer.saved = { consumer.acked_through, consumer.delivered_through, consumer.held }
    store.update("mts_consumers", consumer.id,
        { { "=", 10, consumer.acked_through }, { "=", 11, consumer.delivered_through }, { "=", 12, consumer.held } })
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
    local newest = box.space.mts_consumers.index.id:max()
    local id = newest == nil and 1 or tonumber(newest[1]) + 1
    return row_of(store.insert("mts_consumers", {
        id, subject_name, name, config.start_kind, config.start_value, config.ack, config.ack_wait_ms,
        config.max_deliver, config.max_ack_pending, position, position, 0, now_ms,
    }))
end

--- The consumer that a pull would make, for a peek that makes none.
function M.unmade(subject, name)
    local consumer = { id = 0, subject = subject, name = name, acked_through = 0, delivered_through = 0, held = 0 }
    for key, value in pairs(M.defaults) do consumer[key] = value end
    return consumer
end

--- Whether a consumer was made with this configuration, compared as it was given.
function M.is_configured(consumer, config)
    for key in pairs(M.defaults) do
        if consumer[key] ~= config[key] then return false end
    end
    return true
end

--- The sequence up to which everything is acknowledged; `subject` is as it is shown now, or nil.
function M.position(consumer, subject, now_ms)
    if consumer.ack == "all" then return consumer.acked_through end
    if subject ~= nil and subject.is_cut then leases.pass(consumer, subject.first - 1) end
    return leases.acked_through(consumer, now_ms)
end

--- The state as `{name, subject, ack, acked_through, delivered_through, pending, ack_pending, redelivered,
-- created_at}`. What has used up its deliveries is settled now, for good.
function M.state(consumer, now_ms)
    local first, last = store.head(store.subject(consumer.subject))
    local function stored_after(sequence) return math.max(0, last - math.max(sequence, first - 1)) end
    if consumer.ack == "all" then
        return {
            consumer.name, consumer.subject, "all", consumer.acked_through, consumer.delivered_through,
            stored_after(consumer.acked_through), 0, 0, consumer.created_at,
        }
    end
    leases.settle_exhausted(consumer, now_ms)
    M.save(consumer)
    local pending = stored_after(consumer.delivered_through) - leases.ahead_count(consumer) + consumer.held
    local acked_through = leases.acked_through(consumer, now_ms)
    return {
        consumer.name, consumer.subject, "explicit", acked_through, consumer.delivered_through, pending, consumer.held,
        leases.redelivered(consumer), consumer.created_at,
    }
end

return M
