--- A witness beside the log: how far it went when calls were last answered. A log that lost its end (a file cut
-- short, an old copy put back) looks sound to recovery, heads and rows alike, and would give sequences out a second
-- time. The witness is written after the log and before the answer, so that it is never ahead of a log that lost
-- nothing; it needs no fsync, as what a power cut takes from it only makes it say less.

local ffi = require("ffi")
local fio = require("fio")
local log = require("log")

pcall(ffi.cdef, "ssize_t pwrite(int fd, const void *bytes, size_t count, int64_t offset);")

local M = {}

local name = "mts.acknowledged"
local line = "%s %020d\n"
local file

local function path()
    return fio.pathjoin(box.cfg.wal_dir, name)
end

--- Whether there is a log to watch.
local function is_needed()
    return box.cfg.wal_mode ~= "none"
end

local function read()
    local found = fio.open(path(), { "O_RDONLY" })
    if found == nil then return nil end
    local text = found:read(100)
    found:close()
    local instance, lsn = tostring(text):match("^(%S+) (%d+)\n")
    if instance ~= box.info.uuid then return nil end
    return tonumber(lsn)
end

--- Where the log should have ended and where it does; nil when it is whole.
M.acknowledged, M.recovered = nil, nil

--- Compares the log that was recovered with what was answered. Before anything is written.
function M.examine()
    local acknowledged, recovered = is_needed() and read() or nil, tonumber(box.info.lsn)
    if acknowledged ~= nil and acknowledged > recovered then M.acknowledged, M.recovered = acknowledged, recovered end
end

--- Begins to witness; what was there before counts no more.
function M.start()
    if not is_needed() then return end
    file = fio.open(path(), { "O_RDWR", "O_CREAT" }, tonumber("644", 8))
    if file == nil then log.warn("witness: %s cannot be written", path()) end
    M.note()
end

local function write(text)
    -- A system call of microseconds; the module's own goes through another thread.
    ffi.C.pwrite(file.fh, text, #text, 0)
end

--- Notes that everything up to now is in the log. Never fails: what it comes after has happened.
function M.note()
    if file == nil then return end
    local done, reason = pcall(write, line:format(box.info.uuid, tonumber(box.info.lsn)))
    if done then return end
    log.warn("witness: given up, as %s", reason)
    file = nil
end

return M
