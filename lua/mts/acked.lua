--- `retain: acked`: a message goes as soon as all its recipients have acknowledged it. What makes one go is decided
-- here and nowhere else.
--
-- A recipient settles a prefix (`floor`: acknowledged, never owed to it, or not waited for any more) and, where it
-- leases, single messages behind that, up to `reach` at most. A prefix that all have settled goes as one cut; what lies
-- behind it is looked at message by message, but only where every recipient may have settled something.

local consumers = require("mts.consumers")
local cutting = require("mts.cutting")
local leases = require("mts.leases")
local policies = require("mts.policies")
local store = require("mts.store")
local times = require("mts.times")

local M = {}

--- The acked policy of a subject, or nil.
function M.policy(name)
    local policy = policies.of(name)
    return policy ~= nil and policy.retain == "acked" and policy or nil
end

local function is_settled(consumer, sequence)
    if consumer.ack == "all" then return sequence <= consumer.acked_through end
    return leases.is_settled(consumer, sequence)
end

--- Whether a consumer has settled a message that lies behind its start.
function M.has_acked(consumer, sequence)
    return sequence > consumer.started_after and is_settled(consumer, sequence)
end

--- The sequence up to which a recipient that gave its last sign at `sign_ms` is not waited for; 0 when it is.
local function timed_out_through(subject, policy, sign_ms, now_ms)
    local timeout_ms = policy.recipient_timeout_ms
    if timeout_ms == nil or now_ms - sign_ms < timeout_ms then return 0 end
    return times.sequence_at(subject, now_ms - timeout_ms + 1) - 1
end

--- A recipient that there is no consumer of, or with one.
local function recipient(consumer, subject, policy, now_ms)
    local timed_out = timed_out_through(subject, policy, consumer and consumer.active_at or policy.put_at, now_ms)
    if consumer == nil then return { floor = timed_out, reach = timed_out, timed_out_through = timed_out } end
    local acked, reach = consumer.acked_through, consumer.acked_through
    if consumer.ack == "explicit" then
        acked, reach = leases.lowest_pending(consumer) - 1, leases.highest_settled(consumer)
    end
    local floor = math.max(acked, consumer.started_after, timed_out)
    return {
        consumer = consumer, acked = acked, floor = floor, reach = math.max(floor, reach),
        timed_out_through = timed_out,
    }
end

-- Recipients by name ------------------------------------------------------------------------------------------------

local function named(subject, policy, now_ms)
    local recipients, acked_max, floor, reach = {}, 0, math.huge, math.huge
    for place, name in ipairs(policy.recipients) do
        local found = consumers.find(subject.name, name)
        local each = recipient(found, subject, policy, now_ms)
        recipients[place], each.name = each, name
        if found ~= nil then acked_max = math.max(acked_max, found.acked_max) end
        floor, reach = math.min(floor, each.floor), math.min(reach, each.reach)
    end
    return {
        -- What nobody has acknowledged, nor anything behind it, stays.
        floor = math.min(floor, acked_max),
        spans = { { 1, math.min(reach, acked_max) } },
        is_released = function(sequence)
            for _, each in ipairs(recipients) do
                local is_free = sequence <= each.floor
                    or each.consumer ~= nil and is_settled(each.consumer, sequence)
                if not is_free then return false end
            end
            return sequence <= acked_max
        end,
    }
end

-- So many of any ----------------------------------------------------------------------------------------------------

--- Spans of sequences, ascending, that at least `count` of the intervals `{first, last}` cover.
local function covered(intervals, count)
    local changes, positions = {}, {}
    local function change(position, by)
        if changes[position] == nil then positions[#positions + 1] = position end
        changes[position] = (changes[position] or 0) + by
    end
    for _, interval in ipairs(intervals) do
        if interval[1] <= interval[2] then
            change(interval[1], 1)
            change(interval[2] + 1, -1)
        end
    end
    table.sort(positions)
    local spans, depth, opened = {}, 0, nil
    for _, position in ipairs(positions) do
        depth = depth + changes[position]
        if depth >= count then
            opened = opened or position
        elseif opened ~= nil then
            spans[#spans + 1], opened = { opened, position - 1 }, nil
        end
    end
    return spans
end

local function counted(subject, policy, now_ms)
    local recipients, whole, partly = {}, {}, {}
    for place, consumer in ipairs(consumers.list(subject.name)) do
        local each = recipient(consumer, subject, policy, now_ms)
        recipients[place] = each
        whole[place] = { consumer.started_after + 1, each.acked }
        partly[place] = { consumer.started_after + 1, each.reach }
    end
    local floor = subject.first - 1
    for _, span in ipairs(covered(whole, policy.recipients)) do
        if span[1] <= subject.first and span[2] >= subject.first then floor = span[2] end
    end
    return {
        floor = floor,
        spans = covered(partly, policy.recipients),
        is_released = function(sequence)
            local acked = 0
            for _, each in ipairs(recipients) do
                if M.has_acked(each.consumer, sequence) then acked = acked + 1 end
            end
            return acked >= policy.recipients
        end,
    }
end

local function view_of(subject, policy, now_ms)
    local look = type(policy.recipients) == "table" and named or counted
    return look(subject, policy, now_ms)
end

-- Releasing ---------------------------------------------------------------------------------------------------------

--- Messages that one transaction releases behind others that stay: some tens of milliseconds.
local found_max = 3000

--- Adds the stored messages between two sequences that are released.
local function find_between(found, subject, view, first, last)
    for _, row in box.space.mts_messages:pairs({ subject.id, first }, { iterator = "GE" }) do
        local sequence = tonumber(row[store.message.sequence])
        if row[1] ~= subject.id or sequence > last or #found >= found_max then return end
        if view.is_released(sequence) then found[#found + 1] = sequence end
    end
end

--- Adds what is released between two sequences, looking only where something may be.
local function find(found, subject, view, first, last)
    for _, span in ipairs(view.spans) do
        local low = math.max(span[1], first, view.floor + 1, subject.first)
        local high = math.min(span[2], last, subject.last)
        if low <= high then find_between(found, subject, view, low, high) end
    end
end

--- A shorter prefix goes row by row in the transaction at hand, which costs less than another one for its rows.
M.cut_min = 256

--- Sorted, and each once.
local function ordered(sequences)
    table.sort(sequences)
    local unique = {}
    for _, sequence in ipairs(sequences) do
        if sequence ~= unique[#unique] then unique[#unique + 1] = sequence end
    end
    return unique
end

local function release(context, subject, view, look)
    local found, removed = {}, 0
    -- Looking comes first, as deleting changes what the consumers are.
    look(found)
    local is_all = #found < found_max
    if view.floor - subject.first >= M.cut_min then
        removed = cutting.cut(context, subject, view.floor)
    else
        for sequence = subject.first, math.min(view.floor, subject.last) do found[#found + 1] = sequence end
    end
    if #found > 0 then removed = removed + cutting.remove(context, subject, ordered(found)) end
    return removed, is_all
end

--- Releases all that may go; for what no acknowledgement completed. Answers how many messages went, and whether that
-- is all. Changes the subject.
function M.release_all(context, subject)
    local policy = M.policy(subject.name)
    if policy == nil or subject.first > subject.last then return 0, true end
    local view = view_of(subject, policy, context.now_ms)
    return release(context, subject, view, function(found) find(found, subject, view, 1, subject.last) end)
end

--- Releases what was too much for one transaction; answers whether that is all.
local function release_more(context, name)
    local subject = store.subject(name)
    return subject == nil or select(2, M.release_all(context, subject))
end

--- Releases what an acknowledgement completes: `settled` has ranges `{first, last}` and sequences that are settled now.
-- The consumers must have been saved; those at hand are not to be used any more. Answers how many messages went; what
-- is too much for one transaction is left for later.
function M.release(context, name, settled)
    local policy = #settled > 0 and M.policy(name) or nil
    local subject = policy ~= nil and store.subject(name) or nil
    if subject == nil or subject.first > subject.last then return 0 end
    -- Whom nobody waits for any more may stand anywhere.
    if policy.recipient_timeout_ms ~= nil then settled = { { 1, subject.last } } end
    local view = view_of(subject, policy, context.now_ms)
    local removed, is_all = release(context, subject, view, function(found)
        for _, each in ipairs(settled) do
            local first, last = each, each
            if type(each) == "table" then first, last = each[1], each[2] end
            find(found, subject, view, first, last)
        end
    end)
    if not is_all then
        context.later[#context.later + 1] = function(later) return release_more(later, name) end
    end
    return removed
end

-- Receipts ----------------------------------------------------------------------------------------------------------

--- Whether a recipient that gave its last sign at `sign_ms` is not waited for with a message of a time.
local function is_timed_out(policy, sign_ms, timestamp, now_ms)
    local timeout_ms = policy ~= nil and policy.recipient_timeout_ms or nil
    return timeout_ms ~= nil and timestamp ~= nil and now_ms >= math.max(sign_ms, timestamp) + timeout_ms
end

local function status_of(consumer, policy, sequence, timestamp, now_ms)
    if consumer == nil then
        return is_timed_out(policy, policy.put_at, timestamp, now_ms) and "timed_out" or "absent"
    end
    if sequence <= consumer.started_after then return "exempt" end
    if is_settled(consumer, sequence) or leases.is_given_up(consumer, sequence, now_ms) then return "acked" end
    return is_timed_out(policy, consumer.active_at, timestamp, now_ms) and "timed_out" or "pending"
end

--- Names and consumers of those whom a message is for.
local function recipients_of(subject, policy)
    local names, found = {}, {}
    if policy ~= nil and type(policy.recipients) == "table" then
        for place, name in ipairs(policy.recipients) do
            names[place], found[name] = name, consumers.find(subject.name, name)
        end
        return names, found
    end
    for place, consumer in ipairs(consumers.list(subject.name)) do
        names[place], found[consumer.name] = consumer.name, consumer
    end
    return names, found
end

--- How recipients stand to a message, whose time is nil when it is released: how many acknowledgements release it, how
-- many there are, and `{name, status, …}`.
function M.standing(subject, sequence, timestamp, now_ms)
    local policy = M.policy(subject.name)
    local names, found = recipients_of(subject, policy)
    local list, acked, owing = {}, 0, 0
    for _, name in ipairs(names) do
        local status = status_of(found[name], policy, sequence, timestamp, now_ms)
        list[#list + 1], list[#list + 2] = name, status
        if status == "acked" then acked = acked + 1 end
        if status ~= "exempt" then owing = owing + 1 end
    end
    local total = owing
    if policy ~= nil then total = type(policy.recipients) == "table" and #policy.recipients or policy.recipients end
    return total, acked, list
end

return M
