--- The spaces, as an ordered chain of upgrades. Each step runs once and its number is recorded in the database. A
-- published step is never edited: a change is a new step. Every step can be repeated, as the process may die inside.

local uuid = require("uuid")
local log = require("log")

local M = {}

local function space(name, format, indexes)
    local made = box.schema.space.create(name, { if_not_exists = true, format = format })
    for _, index in ipairs(indexes) do
        made:create_index(index[1], { parts = index[2], unique = index.unique ~= false, if_not_exists = true })
    end
end

local function unsigned(name) return { name = name, type = "unsigned" } end
local function text(name) return { name = name, type = "string" } end
local function nullable(name, type) return { name = name, type = type, is_nullable = true } end

local upgrades = {
    {
        name = "subjects, messages, consumers",
        run = function()
            space("mts_subjects", {
                unsigned("id"), text("name"), unsigned("first"), unsigned("last"), unsigned("body_bytes"),
                unsigned("purged_bytes"), unsigned("late_bytes"), unsigned("late_purged"), unsigned("created_at"),
                unsigned("published_at"),
            }, { { "id", { 1, "unsigned" } }, { "name", { 2, "string" } } })
            space("mts_messages", {
                unsigned("subject_id"), unsigned("sequence"), unsigned("timestamp"), unsigned("object_id"),
                unsigned("bytes_through"), unsigned("offset"), nullable("length", "unsigned"),
                nullable("sha256", "varbinary"), nullable("headers", "map"),
            }, { { "sequence", { 1, "unsigned", 2, "unsigned" } } })
            space("mts_objects", { unsigned("id"), text("name"), unsigned("messages") },
                { { "id", { 1, "unsigned" } }, { "name", { 2, "string" } } })
            space("mts_garbage", { unsigned("subject_id"), unsigned("through") }, { { "id", { 1, "unsigned" } } })
            space("mts_message_ids", {
                unsigned("subject_id"), text("message_id"), unsigned("sequence"), unsigned("timestamp"),
                unsigned("committed_at"), unsigned("ordinal"),
            }, { { "id", { 1, "unsigned", 2, "string" } }, { "ordinal", { 6, "unsigned" } } })
            space("mts_consumers", {
                unsigned("id"), text("subject"), text("name"), text("start_kind"), unsigned("start_value"),
                text("ack"), unsigned("ack_wait_ms"), unsigned("max_deliver"), unsigned("max_ack_pending"),
                unsigned("acked_through"), unsigned("delivered_through"), unsigned("held"), unsigned("created_at"),
            }, { { "id", { 1, "unsigned" } }, { "name", { 2, "string", 3, "string" } } })
            space("mts_pending",
                { unsigned("consumer_id"), unsigned("sequence"), unsigned("deliveries"), unsigned("due_at") },
                { { "sequence", { 1, "unsigned", 2, "unsigned" } },
                    { "due", { 1, "unsigned", 4, "unsigned", 2, "unsigned" } } })
            space("mts_ahead", { unsigned("consumer_id"), unsigned("sequence") },
                { { "sequence", { 1, "unsigned", 2, "unsigned" } } })
        end,
    },
    {
        name = "outcomes of recent calls",
        run = function()
            space("mts_calls", { text("client"), unsigned("slot"), unsigned("number"), text("outcome") },
                { { "slot", { 1, "string", 2, "unsigned" } } })
        end,
    },
    {
        name = "lengths that were measured later",
        run = function()
            space("mts_measured", { unsigned("subject_id"), unsigned("sequence"), unsigned("length") },
                { { "sequence", { 1, "unsigned", 2, "unsigned" } } })
        end,
    },
    {
        name = "retention policies, dead objects",
        run = function()
            space("mts_policies", {
                text("filter"), nullable("max_age_ms", "unsigned"), nullable("max_messages", "unsigned"),
                nullable("max_bytes", "unsigned"), text("discard"),
            }, { { "filter", { 1, "string" } } })
            space("mts_dead", { text("name"), unsigned("since"), unsigned("taken_until") },
                { { "name", { 1, "string" } }, { "since", { 2, "unsigned", 1, "string" } } })
        end,
    },
}

--- The newest version that this code knows.
M.newest = #upgrades

--- The version of the database; 0 when it is new.
function M.version()
    local found = box.space.mts_store ~= nil and box.space.mts_store:get("schema_version")
    return found and tonumber(found[2]) or 0
end

local function record(key, value)
    box.space.mts_store:replace({ key, value })
end

--- Brings the database to a version, the newest when none is given. Refuses one that a newer code made.
function M.upgrade(to)
    to = to or M.newest
    space("mts_store", { text("key"), { name = "value", type = "any" } }, { { "key", { 1, "string" } } })
    local from = M.version()
    if from > M.newest then
        error(("the database has schema version %d, this code knows versions up to %d"):format(from, M.newest), 0)
    end
    for version = from + 1, to do
        log.info("schema: upgrade to %d, %s", version, upgrades[version].name)
        upgrades[version].run()
        record("schema_version", version)
    end
    if box.space.mts_store:get("epoch") == nil then record("epoch", uuid.str()) end
end

--- Made when the store was created.
function M.epoch()
    return box.space.mts_store:get("epoch")[2]
end

--- A new epoch, for a store that was emptied.
function M.renew_epoch()
    record("epoch", uuid.str())
end

return M
