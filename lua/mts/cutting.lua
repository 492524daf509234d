--- Deleting messages of a subject. From its beginning: that moves at once, the rows below it go later, piece by piece.
-- From the middle: the rows go at once, and a range says that they were there.

local store = require("mts.store")
local page = require("mts.page")
local consumers = require("mts.consumers")
local expiring = require("mts.expiring")
local leases = require("mts.leases")
local feed = require("mts.feed")
local garbage = require("mts.garbage")
local gone = require("mts.gone")
local objects = require("mts.objects")

local M = {}
local field = store.message

--- The running sum of bytes through a message that is stored or gone from the middle.
function M.sum_through(subject, sequence)
    if sequence >= subject.last then return subject.body_bytes end
    local row = page.row(subject.id, sequence)
    if row ~= nil then return tonumber(row[field.bytes_through]) end
    local range = gone.at(subject.id, sequence)
    return range and range.bytes_through or subject.purged_bytes
end

--- Bytes through a message, and lengths of what was measured later, both since the subject began.
function M.bytes_through(subject, last)
    if last >= subject.last then return subject.body_bytes, subject.late_bytes end
    local late = subject.late_purged
    for _, measured in box.space.mts_measured:pairs({ subject.id, subject.first }, { iterator = "GE" }) do
        if measured[1] ~= subject.id or measured[2] > last then break end
        late = late + tonumber(measured[3])
    end
    return M.sum_through(subject, last), late
end

local function settle_deleted(name, through)
    for _, consumer in ipairs(consumers.list(name)) do
        if consumer.ack == "explicit" then
            leases.settle_through(consumer, through)
            consumers.save(consumer)
        end
    end
end

local function tell_beginning(context, subject)
    context.changes[#context.changes + 1] = { feed.purged, subject.name, subject.first - 1 }
end

--- Deletes through a sequence (beyond the end: all); answers how many messages that were. Changes its argument.
function M.cut(context, subject, through)
    local last = math.min(through, subject.last)
    if last < subject.first then return 0 end
    -- What is gone right behind goes with it.
    last = gone.hop(subject.id, last)
    local deleted = last - subject.first + 1
    subject.purged_bytes, subject.late_purged = M.bytes_through(subject, last)
    subject.first = last + 1
    if subject.gone_messages > 0 then
        local messages, bytes = gone.forget_through(subject.id, last)
        subject.gone_messages, subject.gone_bytes = subject.gone_messages - messages, subject.gone_bytes - bytes
        deleted = deleted - messages
    end
    store.save_beginning(subject)
    garbage.note(subject.id, last)
    settle_deleted(subject.name, last)
    tell_beginning(context, subject)
    return deleted
end

--- Deletes a row and what goes with it; answers nil when there was none, else the running sum through it, and how many
-- bytes of it the running sums have.
local function remove_row(subject, sequence, releasing)
    local object_id, stored_length, expires_at, length, bytes_through = store.delete_message(subject.id, sequence)
    if object_id == nil then return nil end
    releasing.add(object_id, stored_length)
    expiring.forget(subject.id, expires_at, sequence)
    if subject.late_bytes > subject.late_purged and box.space.mts_measured:get({ subject.id, sequence }) ~= nil then
        store.delete("mts_measured", { subject.id, sequence })
        subject.late_bytes = subject.late_bytes - length
        return bytes_through, 0
    end
    return bytes_through, length
end

--- Settles what is gone for the consumers that lease.
local function settle_runs(context, subject, runs)
    for _, consumer in ipairs(consumers.list(subject.name)) do
        if consumer.ack == "explicit" then
            local held = consumer.held
            for _, run in ipairs(runs) do leases.settle_run(consumer, run.first, run.last) end
            leases.advance(consumer, 0)
            consumers.save(consumer)
            if consumer.held < held then
                context.changes[#context.changes + 1] = { feed.consumer, subject.name, consumer.name, false }
            end
        end
    end
end

--- Moves the beginning over what is gone right behind it.
local function move_beginning(context, subject)
    local range = gone.at(subject.id, subject.first)
    if range == nil then return end
    local messages, bytes = gone.forget_through(subject.id, range.last)
    subject.gone_messages, subject.gone_bytes = subject.gone_messages - messages, subject.gone_bytes - bytes
    subject.first, subject.purged_bytes = range.last + 1, range.bytes_through
    tell_beginning(context, subject)
end

--- Deletes messages from wherever they are; sequences come in ascending order, those that are not stored are passed
-- over. Answers how many that were. Changes the subject.
function M.remove(context, subject, sequences)
    local releasing, runs, removed = objects.releasing(), {}, 0
    for _, sequence in ipairs(sequences) do
        local bytes_through, bytes
        if sequence >= subject.first then bytes_through, bytes = remove_row(subject, sequence, releasing) end
        if bytes_through ~= nil then
            local run = runs[#runs]
            if run == nil or run.last + 1 ~= sequence then
                run = { first = sequence, bytes = 0 }
                runs[#runs + 1] = run
            end
            run.last, run.bytes_through, run.bytes = sequence, bytes_through, run.bytes + bytes
            removed = removed + 1
        end
    end
    if removed == 0 then return 0 end
    releasing.finish(context.now_ms)
    for _, run in ipairs(runs) do
        gone.add(subject.id, run.first, run.last, run.bytes, run.bytes_through)
        subject.gone_messages = subject.gone_messages + run.last - run.first + 1
        subject.gone_bytes = subject.gone_bytes + run.bytes
    end
    settle_runs(context, subject, runs)
    move_beginning(context, subject)
    store.save_beginning(subject)
    return removed
end

return M
