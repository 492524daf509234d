--- Dead letters: what a message looks like as one, and what it was before. The bodies stay where they are.

local page = require("mts.page")
local store = require("mts.store")

local M = {}

local field = store.message

--- Names of the headers, as `src/core/message.ts` has them.
local header = {
    reason = "dead-letter-reason",
    consumer = "dead-letter-consumer",
    subject = "dead-letter-subject",
    sequence = "dead-letter-sequence",
    timestamp = "dead-letter-timestamp",
    deliveries = "dead-letter-deliveries",
    error = "dead-letter-error",
}
local is_ours = {}
for _, name in pairs(header) do is_ours[name] = true end

local function decimal(value)
    return ("%d"):format(tonumber(value))
end

--- The headers of a message without those of a dead letter, flat.
local function own_headers(row)
    local flat, headers = {}, row[field.headers]
    -- Null is not nil to `pairs`.
    if headers == nil then return flat end
    for name, value in pairs(headers) do
        if not is_ours[name] then
            flat[#flat + 1] = name
            flat[#flat + 1] = value
        end
    end
    return flat
end

--- The message of a row, to be committed to another subject with these headers; see `mts.batch`.
local function copy(row, subject, headers)
    local length = row[field.length]
    return {
        subject = subject,
        object_id = tonumber(row[field.object_id]),
        offset = tonumber(row[field.offset]),
        length = length ~= nil and page.length_of(row) or nil,
        sha256 = length ~= nil and row[field.sha256] or nil,
        stored_length = store.optional(row[field.stored_length]),
        headers = #headers > 0 and headers or nil,
    }
end

--- The dead letter of a message that a consumer gives up after so many deliveries; `reason` is what the last nack said.
function M.of(row, consumer, deliveries, reason)
    local headers = own_headers(row)
    local function add(name, value)
        headers[#headers + 1] = name
        headers[#headers + 1] = value
    end
    add(header.reason, "max_deliver")
    add(header.consumer, consumer.name)
    add(header.subject, consumer.subject)
    add(header.sequence, decimal(row[field.sequence]))
    add(header.timestamp, decimal(row[field.timestamp]))
    add(header.deliveries, decimal(deliveries))
    if reason ~= nil then add(header.error, reason) end
    return copy(row, consumer.dead_letter, headers)
end

--- What a dead letter of a consumer was, to be committed to the consumer's subject again; nil when it is none of its.
function M.original(row, consumer)
    local headers = row[field.headers]
    if headers == nil then return nil end
    if headers[header.consumer] ~= consumer.name or headers[header.subject] ~= consumer.subject then return nil end
    return copy(row, consumer.subject, own_headers(row))
end

return M
