#!/usr/bin/env tarantool
--- An instance: settings from the environment, schema, check of what is stored, functions and rights, then it serves.
-- The first line on standard output says where it listens; everything else is logged to standard error.

local fio = require("fio")
-- Absolute, as the working directory changes below.
local folder = fio.abspath(fio.dirname(debug.getinfo(1, "S").source:sub(2)))
package.path = folder .. "/?.lua;" .. package.path

local log = require("log")
local fiber = require("fiber")
local config = require("mts.config")

local function refuse(reason)
    io.stderr:write("error: " .. tostring(reason) .. "\n")
    os.exit(2)
end

local is_read, options = pcall(config.database)
if not is_read then refuse(options) end
if options.work_dir ~= nil then
    local made, reason = fio.mktree(options.work_dir)
    if not made then refuse(reason) end
end
-- Nobody is let in before everything is ready.
local listen = options.listen
options.listen = nil
box.cfg(options)

local witness = require("mts.witness")
witness.examine()
-- A replica that only reads takes schema, functions and rights from the one that writes.
local is_writable = not box.info.ro
if is_writable then require("mts.schema").upgrade() end
require("mts.check").run()
witness.start()

local functions = require("mts.api").functions()
if config.is_test() then
    local hooks = require("mts.test_hooks")
    for name, run in pairs(hooks.functions) do functions[name] = run end
    hooks.start()
    log.warn("MTS_TEST_CLOCK is set: time stands still and anybody with the password can empty the store")
end
require("mts.writer").start()
require("mts.garbage").start()
require("mts.calls").start()

local user, password = config.user()
if password == "changeme" then log.warn("MTS_TARANTOOL_PASSWORD: the password is the one of the examples") end
local access = require("mts.access")
access.export(functions)
if is_writable then access.grant(user, password, functions) end

box.cfg({ listen = listen })
io.stdout:write(("listening on %s\n"):format(box.info.listen or listen))
io.stdout:flush()
fiber.name("mts_main")
