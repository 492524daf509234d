--- Retention policies: what is kept of the subjects that a filter names. For every subject the most specific filter
-- decides alone: token by token from the left a plain token comes before `*`, and `*` before `>`. What is known of
-- them in memory is dropped whenever a row of theirs changes, on this instance or by replication.

local errors = require("mts.errors")
local number = require("mts.number")
local store = require("mts.store")

local M = {}

--- Policies of one store.
M.max = 1000
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
    return {
        max_age_ms = row[2] ~= nil and tonumber(row[2]) or nil,
        max_messages = row[3] ~= nil and tonumber(row[3]) or nil,
        max_bytes = row[4] ~= nil and tonumber(row[4]) or nil,
        discard = row[5],
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

--- The policy of a subject, or nil where everything is kept: `{max_age_ms, max_messages, max_bytes, discard}` by name.
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

local function same(row, wanted)
    for place = 2, 5 do
        local found = row[place]
        if found ~= wanted[place] and not (found == nil and wanted[place] == nil) then return false end
    end
    return true
end

--- Sets the policy of a filter; answers `created`, `same` or `replaced`.
function M.put(filter, max_age_ms, max_messages, max_bytes, discard)
    if discard ~= "old" and discard ~= "new" then errors.raise("malformed", "discard is old or new") end
    local space = box.space.mts_policies
    local found = space:get(filter)
    local wanted = {
        filter, limit(max_age_ms, "max_age_ms"), limit(max_messages, "max_messages"), limit(max_bytes, "max_bytes"),
        discard,
    }
    if found ~= nil and same(found, wanted) then return "same" end
    if found == nil and space:len() >= M.max then errors.raise("too_many_policies", "there are too many policies") end
    store.replace("mts_policies", wanted)
    return found == nil and "created" or "replaced"
end

--- Takes the policy of a filter away; answers its row, or nil.
function M.remove(filter)
    local found = box.space.mts_policies:get(filter)
    if found ~= nil then store.delete("mts_policies", filter) end
    return found
end

--- All rows `{filter, max_age_ms, max_messages, max_bytes, discard}` in byte order of the filters.
function M.list()
    return box.space.mts_policies:select()
end

return M
