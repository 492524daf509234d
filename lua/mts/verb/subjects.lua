--- Subjects that match a filter, in byte order. Takes `{filter, prefix, after, limit}`; `prefix` is what every match
-- begins with. Answers `{has_more, {subject, first, last, messages, bytes, subject …}}`.

local clock = require("mts.clock")
local retention = require("mts.retention")
local store = require("mts.store")
local number = require("mts.number")
local writer = require("mts.writer")

local M = {}

--- Subjects that are looked at before others get their turn.
local turn_rows = 5000

local function tokens_of(text)
    local tokens = {}
    for token in text:gmatch("[^.]+") do tokens[#tokens + 1] = token end
    return tokens
end

local function matches(wanted, name)
    local place = 0
    for token in name:gmatch("[^.]+") do
        place = place + 1
        if wanted[place] == ">" then return true end
        if wanted[place] ~= "*" and wanted[place] ~= token then return false end
    end
    return place == #wanted
end

local function append(found, subject)
    found[#found + 1] = subject.name
    found[#found + 1] = subject.first
    found[#found + 1] = subject.last
    found[#found + 1] = store.stored_messages(subject)
    found[#found + 1] = store.stored_bytes(subject)
end

function M.run(request)
    local prefix, after, limit = request[2], request[3], number.uint(request[4], "limit")
    local wanted = tokens_of(request[1])
    local names = box.space.mts_subjects.index.name
    local found, count = {}, 0
    local key, iterator = prefix, "GE"
    if after ~= "" and after >= prefix then key, iterator = after, "GT" end
    while true do
        local rows = names:select({ key }, { iterator = iterator, limit = turn_rows })
        for _, row in ipairs(rows) do
            local name = row[2]
            if name:sub(1, #prefix) ~= prefix then return { false, found } end
            if matches(wanted, name) then
                if count == limit then return { true, found } end
                count = count + 1
                append(found, retention.shown(store.subject_of(row), clock.now_ms()))
            end
        end
        if #rows < turn_rows then return { false, found } end
        key, iterator = rows[#rows][2], "GT"
        writer.pause()
    end
end

return M
