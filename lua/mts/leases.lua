--- What explicit consumers hold: leased or nacked messages (`pending`), and what was settled before its turn (`ahead`).
-- Everything at or below `delivered_through` that is in neither is settled. A row whose deliveries are used up and
-- whose lease has run out is settled too, whether or not it was removed yet. So is a row at or below `gone_through`,
-- which only a consumer has that is looked at and not written (`pass`).

local store = require("mts.store")

local M = {}

local sequence_field, deliveries_field, due_field = 2, 3, 4

local function pending() return box.space.mts_pending.index.sequence end
local function by_due() return box.space.mts_pending.index.due end

local function is_gone(consumer, row)
    return consumer.gone_through ~= nil and row[sequence_field] <= consumer.gone_through
end

local function is_exhausted(consumer, row, now_ms)
    return consumer.max_deliver > 0 and row[deliveries_field] >= consumer.max_deliver and row[due_field] <= now_ms
end

--- Calls `visit(row)` for every row that is due, earliest first, until it answers false.
local function each_due(consumer, now_ms, visit)
    for _, row in by_due():pairs({ consumer.id }, { iterator = "EQ" }) do
        if row[due_field] > now_ms then return end
        if not is_gone(consumer, row) and visit(row) == false then return end
    end
end

--- Used-up sequences at a time.
local function exhausted(consumer, now_ms)
    local sequences = {}
    if consumer.max_deliver == 0 then return sequences end
    each_due(consumer, now_ms, function(row)
        if row[deliveries_field] >= consumer.max_deliver then sequences[#sequences + 1] = row[sequence_field] end
    end)
    return sequences
end

--- Settles messages whose deliveries are used up and whose lease has run out; answers how many.
function M.settle_exhausted(consumer, now_ms)
    local sequences = exhausted(consumer, now_ms)
    for _, sequence in ipairs(sequences) do store.delete("mts_pending", { consumer.id, sequence }) end
    consumer.held = consumer.held - #sequences
    return #sequences
end

--- How many are leased or nacked.
function M.held(consumer, now_ms)
    return consumer.held - #exhausted(consumer, now_ms)
end

--- How many of the leased or nacked were delivered more than once.
function M.redelivered(consumer)
    local count = 0
    if consumer.held == 0 then return count end
    for _, row in pending():pairs({ consumer.id }, { iterator = "EQ" }) do
        if row[deliveries_field] > 1 then count = count + 1 end
    end
    return count
end

--- The highest sequence up to which everything is settled.
function M.acked_through(consumer, now_ms)
    for _, row in pending():pairs({ consumer.id }, { iterator = "EQ" }) do
        if not is_gone(consumer, row) and not is_exhausted(consumer, row, now_ms) then
            return tonumber(row[sequence_field]) - 1
        end
    end
    return consumer.delivered_through
end

--- Milliseconds until the next lease or delay runs out; nil when nothing is held.
function M.next_due_in_ms(consumer, now_ms)
    for _, row in by_due():pairs({ consumer.id, now_ms }, { iterator = "GT" }) do
        if row[1] ~= consumer.id then return nil end
        if not is_gone(consumer, row) then return tonumber(row[due_field]) - now_ms end
    end
    return nil
end

--- Rows that are due looked at in the order of their times before they are looked for in the order of sequences.
local due_sorted_max = 2000

--- Appends the sequences that come again, lowest first, as far as `take(sequence, deliveries)` answers true.
function M.each_again(consumer, now_ms, take)
    local found = {}
    local is_whole = true
    each_due(consumer, now_ms, function(row)
        if is_exhausted(consumer, row, now_ms) then return true end
        found[#found + 1] = row
        is_whole = #found < due_sorted_max
        return is_whole
    end)
    if is_whole then
        table.sort(found, function(a, b) return a[sequence_field] < b[sequence_field] end)
        for _, row in ipairs(found) do
            if not take(tonumber(row[sequence_field]), tonumber(row[deliveries_field])) then return end
        end
        return
    end
    -- So many are due that the lowest are found sooner by looking at all.
    for _, row in pending():pairs({ consumer.id }, { iterator = "EQ" }) do
        if row[due_field] <= now_ms and not is_gone(consumer, row) and not is_exhausted(consumer, row, now_ms) then
            if not take(tonumber(row[sequence_field]), tonumber(row[deliveries_field])) then return end
        end
    end
end

--- Deliveries of a leased or nacked message; nil when it is neither.
function M.deliveries(consumer, sequence)
    local row = pending():get({ consumer.id, sequence })
    return row and tonumber(row[deliveries_field])
end

--- Leases a message for the first time.
function M.lease(consumer, sequence, due_at)
    store.insert("mts_pending", { consumer.id, sequence, 1, due_at })
    consumer.held = consumer.held + 1
end

--- Changes when a leased or nacked message comes again.
function M.postpone(consumer, sequence, deliveries, due_at)
    store.replace("mts_pending", { consumer.id, sequence, deliveries, due_at })
end

--- Whether a message beyond the cursor is settled.
function M.is_ahead(consumer, sequence)
    return box.space.mts_ahead:get({ consumer.id, sequence }) ~= nil
end

--- Settles one message; answers whether it was unsettled.
function M.settle(consumer, sequence)
    if sequence > consumer.delivered_through then
        if M.is_ahead(consumer, sequence) then return false end
        store.insert("mts_ahead", { consumer.id, sequence })
        return true
    end
    if M.deliveries(consumer, sequence) == nil then return false end
    store.delete("mts_pending", { consumer.id, sequence })
    consumer.held = consumer.held - 1
    return true
end

local function delete_through(space, consumer, through)
    local deleted = 0
    while true do
        local rows = box.space[space]:select({ consumer.id }, { iterator = "GE", limit = 1000 })
        for _, row in ipairs(rows) do
            if row[1] ~= consumer.id or row[sequence_field] > through then return deleted end
            store.delete(space, { consumer.id, row[sequence_field] })
            deleted = deleted + 1
        end
        if #rows == 0 then return deleted end
    end
end

--- Moves the cursor of new messages forward, and over what was settled ahead right behind it, so that the message
-- after the cursor is always an unsettled one. Answers whether the cursor was below `through`.
function M.advance(consumer, through)
    local is_forward = through > consumer.delivered_through
    if is_forward then consumer.delivered_through = through end
    local is_reached = false
    for _, row in box.space.mts_ahead:pairs({ consumer.id }, { iterator = "EQ" }) do
        local sequence = tonumber(row[sequence_field])
        if sequence > consumer.delivered_through + 1 then break end
        consumer.delivered_through = math.max(consumer.delivered_through, sequence)
        is_reached = true
    end
    if is_reached then delete_through("mts_ahead", consumer, consumer.delivered_through) end
    return is_forward
end

--- Settles everything up to a sequence; answers whether any of it was unsettled.
function M.settle_through(consumer, through)
    local deleted = delete_through("mts_pending", consumer, through)
    consumer.held = consumer.held - deleted
    return M.advance(consumer, through) or deleted > 0
end

--- Shows an explicit consumer as if everything up to a sequence were settled; such a one must not be saved.
function M.pass(consumer, through)
    for _, row in pending():pairs({ consumer.id }, { iterator = "EQ" }) do
        if row[sequence_field] > through then break end
        consumer.held = consumer.held - 1
    end
    consumer.gone_through = through
    consumer.delivered_through = math.max(consumer.delivered_through, through)
    for _, row in box.space.mts_ahead:pairs({ consumer.id }, { iterator = "EQ" }) do
        local sequence = tonumber(row[sequence_field])
        if sequence > consumer.delivered_through + 1 then break end
        consumer.delivered_through = math.max(consumer.delivered_through, sequence)
    end
end

--- How many messages beyond the cursor are settled.
function M.ahead_count(consumer)
    return box.space.mts_ahead:count({ consumer.id })
end

--- Forgets everything of a consumer.
function M.remove(consumer)
    delete_through("mts_pending", consumer, math.huge)
    delete_through("mts_ahead", consumer, math.huge)
end

return M
