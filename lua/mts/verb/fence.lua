--- Makes sure that calls that were given up are not made later: answers, for each, whether it had been made. Takes
-- `{client, {slot, number, slot, number …}}`.

local store = require("mts.store")
local number = require("mts.number")

local M = {}

function M.run(_, request)
    local client, calls, answers = request[1], request[2], {}
    for place = 1, #calls, 2 do
        local slot, call = number.uint(calls[place], "slot"), number.uint(calls[place + 1], "number")
        local row = box.space.mts_calls:get({ client, slot })
        local made = row ~= nil and row[3] == call and row[4] ~= ""
        if row == nil or row[3] < call then store.replace("mts_calls", { client, slot, call, "" }) end
        answers[#answers + 1] = made
    end
    return answers
end

return M
