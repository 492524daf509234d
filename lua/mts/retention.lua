--- What policies mean for what is stored. Age holds at every read: a subject is shown as if what is expired were
-- removed already, and the next call that writes to it removes it. The limits of messages and bytes hold after each
-- commit; a stricter one shows at the next commit or sweep.

local cutting = require("mts.cutting")
local page = require("mts.page")
local policies = require("mts.policies")
local store = require("mts.store")
local times = require("mts.times")

local M = {}

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

--- A subject without what is expired, whether or not that was removed: then `is_cut`. Changes and answers its argument.
function M.shown(subject, now_ms)
    local first = first_by_age(subject, policies.of(subject.name), now_ms)
    if first > subject.first then
        subject.purged_bytes, subject.late_purged = cutting.bytes_through(subject, first - 1)
        subject.first, subject.is_cut = first, true
    end
    return subject
end

--- Like `store.subject`, without what is expired.
function M.subject(name, now_ms)
    local subject = store.subject(name)
    return subject and M.shown(subject, now_ms)
end

--- Removes what is expired of a subject.
function M.cut_expired(context, name)
    if policies.is_empty() then return end
    local policy = policies.of(name)
    if policy == nil or policy.max_age_ms == nil then return end
    local subject = store.subject(name)
    if subject ~= nil then cutting.cut(context, subject, first_by_age(subject, policy, context.now_ms) - 1) end
end

--- Like `first_within`, where lengths that were measured later are in no running sum: looks at each message that goes.
local function first_within_measured(subject, bytes_max)
    local bytes = store.stored_bytes(subject)
    local first = subject.first
    for _, row in box.space.mts_messages:pairs({ subject.id, subject.first }, { iterator = "GE" }) do
        if bytes <= bytes_max or first >= subject.last or row[1] ~= subject.id then break end
        bytes = bytes - page.length_of(row)
        first = tonumber(row[store.message.sequence]) + 1
    end
    return first
end

--- The first sequence from which on the bodies have at most so many bytes; the last one when it alone has more.
local function first_within(subject, bytes_max)
    if subject.late_bytes > subject.late_purged then return first_within_measured(subject, bytes_max) end
    local bytes_min = subject.body_bytes - bytes_max
    local function is_within(sequence)
        if sequence <= subject.first then return subject.purged_bytes >= bytes_min end
        return (cutting.bytes_through(subject, sequence - 1)) >= bytes_min
    end
    local low = subject.first
    if low >= subject.last or is_within(low) then return low end
    -- Mostly few messages are too many, so that the look-ups begin at the first and leap further each time.
    local high = low + 1
    while high < subject.last and not is_within(high) do
        local leap = 2 * (high - subject.first)
        low, high = high, math.min(subject.first + leap, subject.last)
    end
    while high - low > 1 do
        local middle = low + math.floor((high - low) / 2)
        if is_within(middle) then high = middle else low = middle end
    end
    return high
end

--- Removes all that a subject's policy does not keep; answers how many messages that were.
function M.trim(context, subject, policy)
    local first = first_by_age(subject, policy, context.now_ms)
    -- Who refuses new messages keeps the old ones.
    if policy.discard == "old" then
        if policy.max_messages ~= nil then first = math.max(first, subject.last - policy.max_messages + 1) end
        if policy.max_bytes ~= nil then first = math.max(first, first_within(subject, policy.max_bytes)) end
    end
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
