--- What a consumer gets next: one plan for pull and peek. A plan is a list of rows and their deliveries.

local store = require("mts.store")
local page = require("mts.page")
local leases = require("mts.leases")
local retention = require("mts.retention")

local M = {}

local function plan_all(consumer, subject, bounds)
    local meter = page.meter(bounds.limit, bounds.body_bytes_max)
    local rows = page.collect({}, subject, consumer.acked_through + 1, meter, bounds.limit)
    local deliveries = {}
    for place, row in ipairs(rows) do
        deliveries[place] = row[store.message.sequence] <= consumer.delivered_through and 2 or 1
    end
    return { rows = rows, deliveries = deliveries, again = 0 }
end

local function plan_explicit(consumer, subject, bounds, auto_ack, now_ms)
    local meter = page.meter(bounds.limit, bounds.body_bytes_max)
    local rows, deliveries = {}, {}
    leases.each_again(consumer, now_ms, function(sequence, delivered)
        local row = page.row(subject.id, sequence)
        -- A row that is gone (damage) is passed over.
        if row == nil then return true end
        if not meter.takes(page.length_of(row)) then return false end
        rows[#rows + 1] = row
        deliveries[#rows] = delivered + 1
        return true
    end)
    local again = #rows
    -- What is acknowledged at once is never held, so it needs no place among what is.
    local room = auto_ack and math.huge or consumer.max_ack_pending - leases.held(consumer, now_ms)
    if room > 0 and subject.last > consumer.delivered_through then
        local skips
        if leases.ahead_count(consumer) > 0 then
            skips = function(sequence) return leases.is_ahead(consumer, sequence) end
        end
        page.collect(rows, subject, consumer.delivered_through + 1, meter, room, skips)
        for place = again + 1, #rows do deliveries[place] = 1 end
    end
    return { rows = rows, deliveries = deliveries, again = again }
end

--- What would be handed out now; the first `again` of it were delivered before. Where something is expired that was not
-- removed, which a pull does before, the consumer is from then on to be looked at only.
function M.plan(consumer, bounds, auto_ack, now_ms)
    local subject = retention.subject(consumer.subject, now_ms)
    if subject == nil then return { rows = {}, deliveries = {}, again = 0 } end
    local plan
    if consumer.ack == "all" then
        plan = plan_all(consumer, subject, bounds)
    else
        if subject.is_cut or subject.hidden then leases.pass(consumer, subject.first - 1, subject.hidden) end
        plan = plan_explicit(consumer, subject, bounds, auto_ack, now_ms)
    end
    plan.subject = subject
    return plan
end

--- What is handed out as runs `{first, last, deliveries, …}`.
local function runs_of(plan)
    local runs = {}
    for place, row in ipairs(plan.rows) do
        local sequence, deliveries = tonumber(row[store.message.sequence]), plan.deliveries[place]
        if runs[#runs] == deliveries and runs[#runs - 1] == sequence - 1 then
            runs[#runs - 1] = sequence
        else
            runs[#runs + 1] = sequence
            runs[#runs + 1] = sequence
            runs[#runs + 1] = deliveries
        end
    end
    return runs
end

--- The outcome of a pull or peek, without the rows: `{subject, first, last, ack, acked_through, next, next_due_in_ms,
-- saturated, {first, last, deliveries, …}}`. Short, as it is remembered for a while.
function M.outcome(consumer, plan, auto_ack, now_ms)
    local first, last = store.head(plan.subject)
    local handed = runs_of(plan)
    if consumer.ack == "all" then
        local next_sequence = math.max(consumer.acked_through + 1, first)
        return { consumer.subject, first, last, "all", consumer.acked_through, next_sequence, box.NULL, false, handed }
    end
    local due = #plan.rows == 0 and leases.next_due_in_ms(consumer, now_ms) or box.NULL
    local is_saturated = last > consumer.delivered_through and not auto_ack
        and leases.held(consumer, now_ms) >= consumer.max_ack_pending
    return {
        consumer.subject, first, last, "explicit", leases.acked_through(consumer, now_ms),
        consumer.delivered_through + 1, due, is_saturated, handed,
    }
end

--- An outcome with rows and their deliveries: `{first, last, ack, acked_through, next, next_due_in_ms, saturated,
-- deliveries, rows, objects}`.
function M.answer(outcome, deliveries, rows)
    return {
        outcome[2], outcome[3], outcome[4], outcome[5], outcome[6], outcome[7], outcome[8], deliveries, rows,
        page.objects(rows),
    }
end

--- An outcome with its rows, see `answer`. Messages that were deleted since are left out.
function M.render(outcome)
    local subject = store.subject(outcome[1])
    local handed, rows, deliveries = outcome[9], {}, {}
    for place = 1, #handed, 3 do
        for sequence = tonumber(handed[place]), tonumber(handed[place + 1]) do
            local row = page.row(subject.id, sequence)
            if row ~= nil then
                rows[#rows + 1] = row
                deliveries[#rows] = handed[place + 2]
            end
        end
    end
    return M.answer(outcome, deliveries, rows)
end

return M
