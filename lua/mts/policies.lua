--- Retention policies: what is kept of the subjects that a filter names. For every subject the most specific filter
-- decides alone: token by token from the left a plain token comes before `*`, and `*` before `>`. What is known of
-- them in memory is dropped whenever a row of theirs changes, on this instance or by replication.

local errors = require("mts.errors")
local number = require("mts.number")
local store = require("mts.store")

local M = {}

--- Policies of one store.
M.max = 1000
--- Names in one of them.
local recipients_max = 100
--- Subjects whose policy is remembered; when there are more they are looked for anew.
local resolved_max = 65536

local root, is_empty
local resolved, resolved_count = {}, 0
local none = {}
local is_watched = false

--- Reads the policies anew when they are next asked for.
function M.forget()
    root = nil
end

local function policy_of(row)
    local recipients = row[7]
    return {
        max_age_ms = store.optional(row[2]),
        max_messages = store.optional(row[3]),
        max_bytes = store.optional(row[4]),
        discard = row[5],
        -- Rows from before this could be said have nothing there.
        retain = row[6] ~= nil and row[6] or "limits",
        -- Names of consumers, or how many of any.
        recipients = type(recipients) == "table" and recipients or store.optional(recipients),
        recipient_timeout_ms = store.optional(row[8]),
        put_at = store.optional(row[9]) or 0,
    }
end

--- Adds a filter to the tree: `tokens` by the next token, `any` for `*`, `rest` for `>`, `ends` where a filter ends.
local function grow(filter, policy)
    local branch = root
    for token in filter:gmatch("[^.]+") do
        if token == ">" then
            branch.rest = policy
            return
        end
        local place = token == "*" and branch or branch.tokens
        local key = token == "*" and "any" or token
        place[key] = place[key] or { tokens = {} }
        branch = place[key]
    end
    branch.ends = policy
end

local function load()
    local space = box.space.mts_policies
    root, is_empty, resolved, resolved_count = { tokens = {} }, true, {}, 0
    -- A replica that is newer than the instance that writes.
    if space == nil then return end
    if not is_watched then
        space:on_replace(M.forget)
        is_watched = true
    end
    for _, row in space:pairs() do
        grow(row[1], policy_of(row))
        is_empty = false
    end
end

--- Looks in the order of the ranks, so that the first that is found is the most specific.
local function search(branch, tokens, place)
    if branch == nil then return nil end
    local token = tokens[place]
    if token == nil then return branch.ends end
    return search(branch.tokens[token], tokens, place + 1) or search(branch.any, tokens, place + 1) or branch.rest
end

--- Whether no subject has a policy.
function M.is_empty()
    if root == nil then load() end
    return is_empty
end

--- The policy of a subject by the names of its fields, or nil where everything is kept.
function M.of(subject)
    if root == nil then load() end
    if is_empty then return nil end
    local known = resolved[subject]
    if known == nil then
        local tokens = {}
        for token in subject:gmatch("[^.]+") do tokens[#tokens + 1] = token end
        known = search(root, tokens, 1) or none
        if resolved_count >= resolved_max then resolved, resolved_count = {}, 0 end
        resolved[subject], resolved_count = known, resolved_count + 1
    end
    return known ~= none and known or nil
end

local function limit(value, name)
    if value == nil then return box.NULL end
    value = number.uint(value, name)
    if value < 1 then errors.raise("malformed", name .. " must be at least 1") end
    return value
end

local function same_recipients(found, wanted)
    if type(found) ~= "table" or type(wanted) ~= "table" then return found == wanted end
    return table.concat(found, "\0") == table.concat(wanted, "\0")
end

local function same(found, wanted)
    for _, key in ipairs({ "max_age_ms", "max_messages", "max_bytes", "discard", "retain", "recipient_timeout_ms" }) do
        if found[key] ~= wanted[key] then return false end
    end
    return same_recipients(found.recipients, wanted.recipients)
end

local function recipients_of(value)
    if type(value) == "table" then
        if #value == 0 or #value > recipients_max then errors.raise("malformed", "recipients are 1 to 100") end
        for _, name in ipairs(value) do
            if type(name) ~= "string" then errors.raise("malformed", "recipients are names") end
        end
        return value
    end
    return limit(value, "recipients")
end

--- Refuses what does not go together.
local function check(row)
    local retain, recipients, timeout = row[6], row[7], row[8]
    if row[5] ~= "old" and row[5] ~= "new" then errors.raise("malformed", "discard is old or new") end
    if retain ~= "limits" and retain ~= "acked" then errors.raise("malformed", "retain is limits or acked") end
    if (retain == "acked") ~= (recipients ~= nil) then errors.raise("malformed", "acked has recipients") end
    if timeout ~= nil and type(recipients) ~= "table" then
        errors.raise("malformed", "only recipients with a name time out")
    end
end

--- Sets the policy of a filter, which is `{max_age_ms, max_messages, max_bytes, discard, retain, recipients,
-- recipient_timeout_ms}`; answers `created`, `same` or `replaced`.
function M.put(filter, items, now_ms)
    local space = box.space.mts_policies
    local row = {
        filter, limit(items[1], "max_age_ms"), limit(items[2], "max_messages"), limit(items[3], "max_bytes"), items[4],
        items[5] ~= nil and items[5] or "limits", recipients_of(items[6]), limit(items[7], "recipient_timeout_ms"),
        now_ms,
    }
    check(row)
    local found = space:get(filter)
    if found ~= nil and same(policy_of(found), policy_of(row)) then return "same" end
    if found == nil and space:len() >= M.max then errors.raise("too_many_policies", "there are too many policies") end
    store.replace("mts_policies", row)
    return found == nil and "created" or "replaced"
end

--- A row as it is told.
function M.told(row)
    local policy = policy_of(row)
    local function item(key)
        if policy[key] == nil then return box.NULL end
        return policy[key]
    end
    return {
        row[1], item("max_age_ms"), item("max_messages"), item("max_bytes"), policy.discard, policy.retain,
        item("recipients"), item("recipient_timeout_ms"),
    }
end

--- Takes the policy of a filter away; answers its row, or nil.
function M.remove(filter)
    local found = box.space.mts_policies:get(filter)
    if found ~= nil then store.delete("mts_policies", filter) end
    return found
end

--- All policies, as they are told, in byte order of the filters.
function M.list()
    local list = {}
    for place, row in ipairs(box.space.mts_policies:select()) do list[place] = M.told(row) end
    return list
end

return M
