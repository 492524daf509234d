--- Who may do what: the application's user may execute the exported functions and nothing else, guest nothing at all.
-- Functions run with the rights of their owner, so that the user needs none on the spaces.

local log = require("log")

local M = {}

--- Takes away every right that a user has, except those in `keep[object type][object name]`.
local function strip(user, keep)
    for _, grant in ipairs(box.schema.user.info(user)) do
        local rights, kind, name = grant[1], grant[2], grant[3]
        local is_kept = keep[kind] ~= nil and (name == nil or keep[kind][name or ""])
        if not is_kept then
            -- Every user owns itself; that right cannot be taken and gives nothing.
            pcall(box.schema.user.revoke, user, rights, kind, name, { if_exists = true })
        end
    end
end

local function remove_functions(functions)
    for _, row in ipairs(box.space._func:select()) do
        local name = row[3]
        local is_ours = name:find("^mts_") ~= nil
        if is_ours and functions[name] == nil then box.schema.func.drop(name) end
    end
end

--- Makes functions callable by name; whom they are granted to is in the database.
function M.export(functions)
    for name, run in pairs(functions) do rawset(_G, name, run) end
end

--- Grants functions to a user and takes everything else away.
function M.grant(user, password, functions)
    remove_functions(functions)
    box.schema.user.create(user, { if_not_exists = true })
    box.schema.user.passwd(user, password)
    for name in pairs(functions) do box.schema.func.create(name, { setuid = true, if_not_exists = true }) end
    -- Official connectors read the list of spaces when they connect, which the role `public` lets everybody do; it
    -- shows nobody more than the user's own rights.
    strip(user,
        { role = { public = true }, universe = { [""] = true }, ["function"] = functions, user = { [user] = true } })
    for name in pairs(functions) do
        box.schema.user.grant(user, "execute", "function", name, { if_not_exists = true })
    end
    strip("guest", {})
    pcall(box.schema.user.revoke, "guest", "session,usage", "universe", nil, { if_exists = true })
    log.info("access: %s may execute %d functions", user, #box.schema.user.info(user))
end

return M
