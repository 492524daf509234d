--- The settings of an instance, from the environment. A bad value is refused by name.

local M = {}

local units = { [""] = 1, B = 1, KiB = 2 ^ 10, MiB = 2 ^ 20, GiB = 2 ^ 30, kB = 1e3, KB = 1e3, MB = 1e6, GB = 1e9 }

local function refuse(name, value, what)
    error(("%s=%q must be %s"):format(name, value, what), 0)
end

local function size(name, value)
    local digits, unit = value:match("^(%d+)(%a*)$")
    if digits == nil or units[unit] == nil then refuse(name, value, "a size such as 1GiB") end
    return tonumber(digits) * units[unit]
end

local function whole(name, value)
    if not value:find("^%d+$") then refuse(name, value, "a whole number") end
    return tonumber(value)
end

local function one_of(...)
    local choices = { ... }
    return function(name, value)
        for _, choice in ipairs(choices) do
            if value == choice then return value end
        end
        refuse(name, value, "one of " .. table.concat(choices, ", "))
    end
end

local function text(_, value) return value end

--- Name in the environment, default, how it is read, and the setting of the database it becomes.
local settings = {
    { "MTS_TARANTOOL_LISTEN", "127.0.0.1:3301", text, "listen" },
    { "MTS_TARANTOOL_DIR", nil, text, "work_dir" },
    { "MTS_TARANTOOL_MEMTX_DIR", nil, text, "memtx_dir" },
    { "MTS_TARANTOOL_WAL_DIR", nil, text, "wal_dir" },
    { "MTS_TARANTOOL_MEMORY", "256MiB", size, "memtx_memory" },
    { "MTS_TARANTOOL_WAL_MODE", "fsync", one_of("fsync", "write", "none"), "wal_mode" },
    { "MTS_TARANTOOL_CHECKPOINT_INTERVAL_S", "3600", whole, "checkpoint_interval" },
    { "MTS_TARANTOOL_CHECKPOINT_COUNT", "2", whole, "checkpoint_count" },
    { "MTS_TARANTOOL_READAHEAD", "1MiB", size, "readahead" },
    { "MTS_TARANTOOL_NET_MSG_MAX", "4096", whole, "net_msg_max" },
    { "MTS_TARANTOOL_LOG_LEVEL", "5", whole, "log_level" },
}

--- Largest row: headers of 64 KiB, or the outcome of one large call.
local tuple_bytes_max = 8 * 2 ^ 20

--- What `box.cfg` takes.
function M.database()
    local options = { memtx_max_tuple_size = tuple_bytes_max }
    for _, setting in ipairs(settings) do
        local name, default, parse, option = unpack(setting, 1, 4)
        local value = os.getenv(name) or default
        if value ~= nil and value ~= "" then options[option] = parse(name, value) end
    end
    return options
end

--- The application's user: name and password.
function M.user()
    return os.getenv("MTS_TARANTOOL_USER") or "minitoolstream", os.getenv("MTS_TARANTOOL_PASSWORD") or "changeme"
end

--- Whether the hooks of tests are wanted; never in an instance that matters.
function M.is_test()
    return os.getenv("MTS_TEST_CLOCK") == "1"
end

return M
