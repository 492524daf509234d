--- What acknowledging and giving back have in common: who is meant, and whether the sequences are there.

local store = require("mts.store")
local number = require("mts.number")
local consumers = require("mts.consumers")

local M = {}

M.done, M.consumer_not_found, M.out_of_range, M.wrong_mode = 0, 1, 2, 3

--- Sequences of a request as numbers.
local function whole(sequences)
    local checked = {}
    -- Null is not nil to `ipairs`.
    if sequences == nil then return checked end
    for place, sequence in ipairs(sequences) do checked[place] = number.uint(sequence, "sequence") end
    return checked
end

--- The consumer, `through` and the sequences; or nil and the outcome of a request that is refused.
function M.target(subject, name, through, sequences)
    local consumer = consumers.find(subject, name)
    if consumer == nil then return nil, { M.consumer_not_found } end
    if consumer.ack == "all" and sequences ~= nil then return nil, { M.wrong_mode } end
    through = number.optional(through, "through") or 0
    sequences = whole(sequences)
    local highest = through
    for _, sequence in ipairs(sequences) do highest = math.max(highest, sequence) end
    local _, last = store.head(store.subject(subject))
    if highest > last then return nil, { M.out_of_range, last } end
    return consumer, through, sequences
end

return M
