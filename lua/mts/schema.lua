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

--- Adds fields to the end of a space's rows; rows that lack them stay as they are.
local function widen(name, fields)
    local format = box.space[name]:format()
    local known = {}
    for _, field in ipairs(format) do known[field.name] = true end
    local is_wider = false
    for _, field in ipairs(fields) do
        if not known[field.name] then
            format[#format + 1] = field
            is_wider = true
        end
    end
    if is_wider then box.space[name]:format(format) end
end

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
    {
        name = "times to live, messages gone from the middle, recipients",
        run = function()
            widen("mts_messages", { nullable("expires_at", "unsigned"), nullable("stored_length", "unsigned") })
            widen("mts_subjects", { nullable("gone_messages", "unsigned"), nullable("gone_bytes", "unsigned") })
            widen("mts_policies", {
                nullable("retain", "string"), nullable("recipients", "any"),
                nullable("recipient_timeout_ms", "unsigned"), nullable("put_at", "unsigned"),
            })
            widen("mts_consumers", {
                nullable("started_after", "unsigned"), nullable("active_at", "unsigned"),
                nullable("acked_max", "unsigned"),
            })
            space("mts_expiring", { unsigned("subject_id"), unsigned("expires_at"), unsigned("sequence") },
                { { "time", { 1, "unsigned", 2, "unsigned", 3, "unsigned" } } })
            space("mts_gone", {
                unsigned("subject_id"), unsigned("first"), unsigned("last"), unsigned("bytes"),
                unsigned("bytes_through"),
            }, { { "first", { 1, "unsigned", 2, "unsigned" } } })
            require("mts.consumers").complete()
        end,
    },
    {
        name = "delayed messages, dead letters, what objects hold",
        run = function()
            widen("mts_objects", {
                nullable("committed", "unsigned"), nullable("alive", "unsigned"), nullable("committed_at", "unsigned"),
                nullable("subject_id", "unsigned"), nullable("first", "unsigned"), nullable("last", "unsigned"),
                nullable("leased_until", "unsigned"), nullable("linger_until", "unsigned"),
            })
            widen("mts_consumers", { nullable("dead_letter", "string") })
            widen("mts_pending", { nullable("error", "string") })
            space("mts_spans", { unsigned("object_id"), unsigned("subject_id"), unsigned("first"), unsigned("last") },
                { { "span", { 1, "unsigned", 2, "unsigned", 3, "unsigned" } } })
            space("mts_delayed", {
                unsigned("id"), text("subject"), unsigned("tried_at"), unsigned("due_at"), unsigned("object_id"),
                unsigned("offset"), unsigned("length"), { name = "sha256", type = "varbinary" },
                nullable("stored_length", "unsigned"), nullable("headers", "map"), nullable("message_id", "string"),
                nullable("ttl_ms", "unsigned"),
            }, {
                { "id", { 1, "unsigned" } },
                { "due", { 3, "unsigned", 4, "unsigned", 1, "unsigned" } },
                { "message", { { 2, "string" }, { 11, "string", is_nullable = true } }, unique = false },
                { "object", { 5, "unsigned" }, unique = false },
            })
            require("mts.accounting").run()
        end,
    },
    {
        name = "bytes of dead objects, and in whose hands they are",
        run = function()
            widen("mts_dead", { nullable("bytes", "unsigned") })
            -- What is in nobody's hands comes first, the oldest before the others.
            box.space.mts_dead:create_index("free",
                { parts = { 3, "unsigned", 2, "unsigned", 1, "string" }, if_not_exists = true })
        end,
    },
    {
        name = "application actors",
        run = function()
            space("mts_actors", {
                unsigned("id"), text("name"), unsigned("generation"), unsigned("fence"), unsigned("revision"),
                nullable("owner", "string"), unsigned("lease_until"), nullable("alarm_at", "unsigned"),
                unsigned("restarts"), nullable("last_error", "string"), unsigned("updated_at"),
            }, { { "id", { 1, "unsigned" } }, { "name", { 2, "string" } } })
            space("mts_actor_states", { unsigned("actor_id"), { name = "state", type = "varbinary" } },
                { { "id", { 1, "unsigned" } } })
            space("mts_actor_positions", {
                unsigned("actor_id"), text("subject"), unsigned("generation"), unsigned("through"),
                unsigned("effects_through"),
            }, { { "subject", { 1, "unsigned", 2, "string" } } })
            space("mts_actor_rows", {
                unsigned("actor_id"), unsigned("generation"), text("key"), { name = "value", type = "varbinary" },
            }, { { "key", { 1, "unsigned", 2, "unsigned", 3, "string" } } })
        end,
    },
    {
        -- Nothing of it is stored: the number says that the functions are there.
        name = "changes of actors' rows",
        run = function() end,
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
