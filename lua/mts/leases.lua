--- What explicit consumers hold: leased or nacked messages (`pending`), and what was settled before its turn (`ahead`).
-- Everything at or below `delivered_through` that is in neither is settled. A row whose deliveries are used up and
-- whose lease has run out is settled too, whether or not it was removed yet. So is a row at or below `gone_through`, or
-- in `hidden`, which only a consumer has that is looked at and not written (`pass`).

local gone = require("mts.gone")
local store = require("mts.store")

local M = {}

local sequence_field, deliveries_field, due_field, error_field = 2, 3, 4, 5

local function pending() return box.space.mts_pending.index.sequence end
local function by_due() return box.space.mts_pending.index.due end

local function is_gone(consumer, row)
    if consumer.gone_through == nil then return false end
    local sequence = tonumber(row[sequence_field])
    return sequence <= consumer.gone_through or consumer.hidden[sequence] ~= nil
end

local function is_used_up(consumer, row)
    return consumer.max_deliver > 0 and row[deliveries_field] >= consumer.max_deliver
end

--- With a subject for dead letters a message is not settled before it is there.
local function is_exhausted(consumer, row, now_ms)
    return consumer.dead_letter == nil and row[due_field] <= now_ms and is_used_up(consumer, row)
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
        if is_exhausted(consumer, row, now_ms) then sequences[#sequences + 1] = tonumber(row[sequence_field]) end
    end)
    return sequences
end

--- What is to be given up now, at most so many: used up, and its lease has run out.
function M.overdue(consumer, limit, now_ms)
    local sequences = {}
    each_due(consumer, now_ms, function(row)
        if is_used_up(consumer, row) then sequences[#sequences + 1] = tonumber(row[sequence_field]) end
        return #sequences < limit
    end)
    return sequences
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

--- The lowest sequence that is leased or nacked, used up or not; the one after the cursor when nothing is.
function M.lowest_pending(consumer)
    local row = pending():select({ consumer.id }, { limit = 1 })[1]
    return row ~= nil and tonumber(row[sequence_field]) or consumer.delivered_through + 1
end

--- The highest sequence that may be settled.
function M.highest_settled(consumer)
    local ahead = box.space.mts_ahead.index.sequence:max({ consumer.id })
    return ahead ~= nil and tonumber(ahead[sequence_field]) or consumer.delivered_through
end

--- Whether a message is settled; one that is used up is not as long as its row is there.
function M.is_settled(consumer, sequence)
    if sequence > consumer.delivered_through then return M.is_ahead(consumer, sequence) end
    return pending():get({ consumer.id, sequence }) == nil
end

--- Whether a message is used up and its lease has run out, though its row is there.
function M.is_given_up(consumer, sequence, now_ms)
    local row = pending():get({ consumer.id, sequence })
    return row ~= nil and is_exhausted(consumer, row, now_ms)
end

--- Notes that a message was acknowledged, or given up.
function M.note_acked(consumer, sequence)
    if sequence > consumer.started_after then consumer.acked_max = math.max(consumer.acked_max, sequence) end
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
        if is_used_up(consumer, row) then return true end
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
        if row[due_field] <= now_ms and not is_gone(consumer, row) and not is_used_up(consumer, row) then
            if not take(tonumber(row[sequence_field]), tonumber(row[deliveries_field])) then return end
        end
    end
end

--- Deliveries of a leased or nacked message, and what the last nack said of it or nil; nil when it is neither.
function M.deliveries(consumer, sequence)
    local row = pending():get({ consumer.id, sequence })
    if row == nil then return nil end
    return tonumber(row[deliveries_field]), row[error_field] ~= nil and row[error_field] or nil
end

--- Leases a message for the first time.
function M.lease(consumer, sequence, due_at)
    store.insert("mts_pending", { consumer.id, sequence, 1, due_at })
    consumer.held = consumer.held + 1
end

--- Changes when a leased or nacked message comes again. `reason` is what a nack said of it; nil leaves what was said.
function M.postpone(consumer, sequence, deliveries, due_at, reason)
    local changes = { { "=", deliveries_field, deliveries }, { "=", due_field, due_at } }
    if reason ~= nil then changes[3] = { "=", error_field, reason } end
    store.update("mts_pending", { consumer.id, sequence }, changes)
end


--- Whether a message beyond the cursor is settled.
function M.is_ahead(consumer, sequence)
    return box.space.mts_ahead:get({ consumer.id, sequence }) ~= nil
end

local function is_stored_no_more(consumer, sequence)
    if gone.is_empty() then return false end
    local subject = store.subject(consumer.subject)
    return subject ~= nil and gone.at(subject.id, sequence) ~= nil
end

--- Settles one message; answers whether it was unsettled.
function M.settle(consumer, sequence)
    M.note_acked(consumer, sequence)
    if sequence > consumer.delivered_through then
        if M.is_ahead(consumer, sequence) or is_stored_no_more(consumer, sequence) then return false end
        store.insert("mts_ahead", { consumer.id, sequence })
        return true
    end
    if M.deliveries(consumer, sequence) == nil then return false end
    store.delete("mts_pending", { consumer.id, sequence })
    consumer.held = consumer.held - 1
    return true
end

local function delete_between(space, consumer, first, last)
    -- Mostly there is little or nothing to delete, of very much.
    local deleted, limit = 0, 1
    while true do
        local rows = box.space[space]:select({ consumer.id, first }, { iterator = "GE", limit = limit })
        limit = math.min(10 * limit, 1000)
        for _, row in ipairs(rows) do
            if row[1] ~= consumer.id or row[sequence_field] > last then return deleted end
            store.delete(space, { consumer.id, row[sequence_field] })
            deleted = deleted + 1
        end
        if #rows == 0 then return deleted end
    end
end

local function delete_through(space, consumer, through)
    return delete_between(space, consumer, 0, through)
end

--- The last sequence behind a position up to which everything was settled ahead or is gone from the middle, and whether
-- any of it was settled ahead.
local function reach(consumer, position)
    local subject = not gone.is_empty() and store.subject(consumer.subject) or nil
    local function hop(sequence) return subject ~= nil and gone.hop(subject.id, sequence) or sequence end
    local is_ahead = false
    position = hop(position)
    for _, row in box.space.mts_ahead:pairs({ consumer.id }, { iterator = "EQ" }) do
        local sequence = tonumber(row[sequence_field])
        if sequence > position + 1 then break end
        position = hop(math.max(position, sequence))
        is_ahead = true
    end
    return position, is_ahead
end

--- Moves the cursor of new messages forward, and over what was settled ahead or is gone right behind it, so that the
-- message after the cursor is always an unsettled one. Answers whether the cursor was below `through`.
function M.advance(consumer, through)
    local is_forward = through > consumer.delivered_through
    local position, is_ahead = reach(consumer, math.max(through, consumer.delivered_through))
    consumer.delivered_through = position
    if is_ahead then delete_through("mts_ahead", consumer, position) end
    return is_forward
end

--- Settles messages that are gone, on either side of the cursor.
function M.settle_run(consumer, first, last)
    if consumer.held > 0 then
        consumer.held = consumer.held - delete_between("mts_pending", consumer, first, last)
    end
    if box.space.mts_ahead:len() > 0 then delete_between("mts_ahead", consumer, first, last) end
end

--- Settles everything up to a sequence; answers whether any of it was unsettled.
function M.settle_through(consumer, through)
    local deleted = delete_through("mts_pending", consumer, through)
    consumer.held = consumer.held - deleted
    return M.advance(consumer, through) or deleted > 0
end

--- Shows an explicit consumer as if everything up to a sequence, and what `hidden` has, were settled; such a one must
-- not be saved.
function M.pass(consumer, through, hidden)
    consumer.gone_through, consumer.hidden = through, hidden or {}
    local held = 0
    for _, row in pending():pairs({ consumer.id }, { iterator = "EQ" }) do
        if not is_gone(consumer, row) then held = held + 1 end
    end
    consumer.held = held
    local position = math.max(consumer.delivered_through, through)
    repeat
        consumer.delivered_through = position
        position = reach(consumer, position)
        while consumer.hidden[position + 1] ~= nil do position = position + 1 end
    until position == consumer.delivered_through
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
