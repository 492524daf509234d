--- What policies and times to live mean for what is stored. Age and times to live hold at every read: a subject is
-- shown as if what is expired were removed already, and the next call that writes to it removes it. The limits of
-- messages and bytes hold after each commit; a stricter one shows at the next commit or sweep.

local cutting = require("mts.cutting")
local expiring = require("mts.expiring")
local gone = require("mts.gone")
local page = require("mts.page")
local policies = require("mts.policies")
local store = require("mts.store")
local times = require("mts.times")

local M = {}

--- Messages whose time is over that one call removes or hides: some ten milliseconds.
local due_max = 1000

--- Has what is too much for one call removed before the call is made (see `mts.writer`).
local function remove_before(name)
    error({
        before = function(context)
            local subject = store.subject(name)
            return subject == nil or select(2, M.remove_expired(context, subject, due_max))
        end,
    }, 0)
end

--- The first sequence that is not expired; last + 1 when all are.
local function first_by_age(subject, policy, now_ms)
    if policy == nil or policy.max_age_ms == nil or subject.first > subject.last then return subject.first end
    -- What is as old as the limit is gone.
    local since = now_ms - policy.max_age_ms + 1
    if since <= 0 then return subject.first end
    local row = page.row(subject.id, subject.first)
    if row ~= nil and row[store.message.timestamp] >= since then return subject.first end
    return times.sequence_at(subject, since)
end

--- Shows a subject without what is before a sequence, and what is gone right before that.
local function show_from(subject, first)
    local through = gone.hop(subject.id, first - 1)
    subject.purged_bytes, subject.late_purged = cutting.bytes_through(subject, through)
    gone.each(subject.id, function(range_first, range_last, bytes)
        if range_first > through then return false end
        subject.gone_messages = subject.gone_messages - (range_last - range_first + 1)
        subject.gone_bytes = subject.gone_bytes - bytes
        return true
    end)
    subject.first, subject.is_cut = through + 1, true
end

--- Shows a subject without messages whose time is over.
local function hide(subject, sequences, hidden)
    for _, sequence in ipairs(sequences) do
        local row = page.row(subject.id, sequence)
        subject.gone_messages = subject.gone_messages + 1
        subject.gone_bytes = subject.gone_bytes + (row and page.length_of(row) or 0)
    end
    subject.hidden = hidden
    -- What is not shown at the beginning is not counted as gone from the middle either.
    local first = subject.first
    while true do
        local reached = gone.hop(subject.id, first - 1) + 1
        if hidden[reached] ~= nil then reached = reached + 1 end
        if reached == first then break end
        subject.gone_messages = subject.gone_messages - (reached - first)
        first = reached
    end
    if first > subject.first then subject.first, subject.is_cut = first, true end
end

--- A subject without what is expired, whether or not that was removed: then `is_cut` when it begins later, and `hidden`
-- has the sequences that are not shown. Changes and answers its argument.
function M.shown(subject, now_ms)
    local first = first_by_age(subject, policies.of(subject.name), now_ms)
    if first > subject.first then show_from(subject, first) end
    local due_limit = box.info.ro and math.huge or due_max
    local sequences, hidden = expiring.due(subject, now_ms, due_limit)
    if sequences == nil then return subject end
    if #sequences >= due_limit then remove_before(subject.name) end
    hide(subject, sequences, hidden)
    return subject
end

--- Like `store.subject`, without what is expired.
function M.subject(name, now_ms)
    local subject = store.subject(name)
    return subject and M.shown(subject, now_ms)
end

--- Removes messages whose time is over, at most `limit`; answers how many that were, and whether that is all. Changes
-- the subject.
local function remove_due(context, subject, limit)
    local sequences, due_at = expiring.due(subject, context.now_ms, limit)
    if sequences == nil then return 0, true end
    -- Messages often live equally long; then they make a prefix, which goes at once whatever its length.
    local through, count = subject.first - 1, 0
    while sequences[count + 1] == through + 1 do
        count = count + 1
        through = gone.hop(subject.id, sequences[count])
    end
    expiring.forget_due(subject, sequences, due_at, count)
    local removed = cutting.cut(context, subject, through)
    local others = {}
    for place = count + 1, #sequences do others[#others + 1] = sequences[place] end
    return removed + cutting.remove(context, subject, others), #sequences < limit
end

--- Removes what is expired of a subject, of what lies behind others at most `limit`; answers how many messages that
-- were, and whether that is all. Changes its argument.
function M.remove_expired(context, subject, limit)
    local first = first_by_age(subject, policies.of(subject.name), context.now_ms)
    local cut = cutting.cut(context, subject, first - 1)
    local removed, is_all = remove_due(context, subject, limit)
    return cut + removed, is_all
end

--- Removes what is expired of the subject of a name, before something else is done with it.
function M.cut_expired(context, name)
    local policy = policies.of(name)
    if (policy == nil or policy.max_age_ms == nil) and expiring.is_empty() then return end
    local subject = store.subject(name)
    if subject == nil then return end
    local _, is_all = M.remove_expired(context, subject, due_max)
    if not is_all then remove_before(name) end
end

--- The newest stored sequence.
local function newest_of(subject)
    local row = box.space.mts_messages.index.sequence
        :select({ subject.id, subject.last }, { iterator = "LE", limit = 1 })[1]
    return row ~= nil and row[1] == subject.id and tonumber(row[store.message.sequence]) or subject.last
end

--- The sequence from which on so many messages are stored.
local function first_of_newest(subject, messages_max)
    local surplus = store.stored_messages(subject) - messages_max
    if surplus <= 0 then return subject.first end
    local position = subject.first
    if subject.gone_messages > 0 then
        gone.each(subject.id, function(first, last)
            local stored = first - position
            if surplus < stored then return false end
            surplus, position = surplus - stored, last + 1
            return true
        end)
    end
    return position + surplus
end

--- Like `first_within`, where lengths that were measured later are in no running sum: looks at each message that goes.
local function first_within_measured(subject, bytes_max)
    local bytes, newest = store.stored_bytes(subject), newest_of(subject)
    local first = subject.first
    for _, row in box.space.mts_messages:pairs({ subject.id, subject.first }, { iterator = "GE" }) do
        if bytes <= bytes_max or row[1] ~= subject.id or row[store.message.sequence] >= newest then break end
        bytes = bytes - page.length_of(row)
        first = tonumber(row[store.message.sequence]) + 1
    end
    return first
end

--- The first sequence from `low` to `high`, all of them stored, through which the running sum is so many bytes.
local function reaching(subject, low, high, sum_min)
    local function is_enough(sequence) return cutting.sum_through(subject, sequence) >= sum_min end
    -- Mostly few messages are too many, so that the look-ups begin at the first and leap further each time.
    local leap, below = 1, low - 1
    while below + leap < high and not is_enough(below + leap) do below, leap = below + leap, 2 * leap end
    high = math.min(below + leap, high)
    while high - below > 1 do
        local middle = below + math.floor((high - below) / 2)
        if is_enough(middle) then high = middle else below = middle end
    end
    return high
end

--- The first sequence from which on the bodies have at most so many bytes; the last one when it alone has more.
local function first_within(subject, bytes_max)
    local surplus = store.stored_bytes(subject) - bytes_max
    if surplus <= 0 then return subject.first end
    if subject.late_bytes > subject.late_purged then return first_within_measured(subject, bytes_max) end
    local position, sum, found = subject.first, subject.purged_bytes, nil
    --- Looks from the position to `last`, which ends with a gap.
    local function look(last)
        local through = cutting.sum_through(subject, last)
        if through - sum >= surplus then found = reaching(subject, position, last, sum + surplus) + 1 end
        surplus = surplus - (through - sum)
    end
    if subject.gone_messages > 0 then
        gone.each(subject.id, function(first, last, _, bytes_through)
            look(first - 1)
            position, sum = last + 1, bytes_through
            return found == nil
        end)
    end
    if found == nil then look(subject.last) end
    local newest = newest_of(subject)
    return found ~= nil and math.min(found, newest) or newest
end

--- Removes what the limits of a subject's policy do not keep; answers how many messages that were. What is expired was
-- removed before, or came in this transaction.
function M.trim(context, subject, policy)
    local first = first_by_age(subject, policy, context.now_ms)
    -- Who refuses new messages keeps the old ones.
    if policy.discard ~= "old" then return cutting.cut(context, subject, first - 1) end
    if policy.max_messages ~= nil then first = math.max(first, first_of_newest(subject, policy.max_messages)) end
    if policy.max_bytes ~= nil then first = math.max(first, first_within(subject, policy.max_bytes)) end
    return cutting.cut(context, subject, first - 1)
end

--- Whether a policy refuses a message, when a subject has `messages` of so many bytes.
function M.is_full(policy, messages, bytes, length)
    if policy.max_bytes ~= nil and length > policy.max_bytes then return true end
    if policy.discard == "old" then return false end
    if policy.max_messages ~= nil and messages >= policy.max_messages then return true end
    return policy.max_bytes ~= nil and bytes + length > policy.max_bytes
end

return M
