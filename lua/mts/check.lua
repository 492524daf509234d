--- The check at boot: damage is named, never repaired in silence, and never by giving a sequence out twice.

local log = require("log")
local gone = require("mts.gone")
local schema = require("mts.schema")
local witness = require("mts.witness")
local store = require("mts.store")

local M = {}

--- What was found, a sentence each.
M.warnings = {}

--- Warnings that are spelled out.
local warnings_max = 100
local others = 0

--- Adds a warning.
function M.warn(text, ...)
    local warning = text:format(...)
    log.error("damage: %s", warning)
    if #M.warnings < warnings_max then M.warnings[#M.warnings + 1] = warning else others = others + 1 end
end

--- The first sequence that is missing and was not deleted, and the next that is there.
local function first_hole(subject)
    local expected = subject.first
    for _, row in box.space.mts_messages:pairs({ subject.id, subject.first }, { iterator = "GE" }) do
        if row[1] ~= subject.id then break end
        local sequence = tonumber(row[2])
        if sequence ~= expected then expected = gone.hop(subject.id, expected - 1) + 1 end
        if sequence ~= expected then return expected, sequence end
        expected = expected + 1
    end
end

--- The newest message that is stored, as the head and the ranges of what is gone say.
local function last_stored(subject)
    local range = gone.at(subject.id, subject.last)
    return range and range.first - 1 or subject.last
end

--- Compares a subject's head with its rows: the newest, and how many there are.
local function check_subject(subject)
    local primary = box.space.mts_messages.index.sequence
    local newest = primary:max({ subject.id })
    local newest_sequence = newest and tonumber(newest[2])
    if newest_sequence == nil then
        if subject.first <= subject.last then
            M.warn("%s: the head says %d, and no message row is there", subject.name, subject.last)
        end
        return
    end
    local last = last_stored(subject)
    if newest_sequence ~= last and (subject.first <= last or newest_sequence > last) then
        M.warn("%s: the head says %d, the newest message row is %d", subject.name, last, newest_sequence)
    end
    local oldest = math.min(tonumber(primary:min({ subject.id })[2]), subject.first)
    -- Counting is far cheaper than looking at each, which only a subject with a hole is worth.
    local deleted = gone.count_through(subject, newest_sequence)
    if primary:count({ subject.id }) == newest_sequence - oldest + 1 - deleted then return end
    local missing, there = first_hole(subject)
    if missing ~= nil then
        M.warn("%s: the messages %d to %d are missing", subject.name, missing, there - 1)
    end
end

--- A log that lost its end: sequences that were given out will be given out again, so that the store is another one.
local function check_log()
    if witness.acknowledged == nil then return end
    M.warn("the log ends at %d, but calls were answered up to %d: its end is lost, and the epoch is a new one",
        witness.recovered, witness.acknowledged)
    if not box.info.ro then schema.renew_epoch() end
end

--- Looks at the log and at every subject. Runs before anything is served.
function M.run()
    check_log()
    for _, tuple in box.space.mts_subjects:pairs() do check_subject(store.subject_of(tuple)) end
    if others > 0 then M.warnings[#M.warnings + 1] = ("and %d more"):format(others) end
end

return M
