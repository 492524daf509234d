--- Who answers: `{protocol, epoch, schema version, warnings, is writable}`.

local schema = require("mts.schema")
local check = require("mts.check")

local M = {}

--- Grows when an old server could not work with these functions any more.
local protocol = 1

function M.run()
    return { protocol, schema.epoch(), schema.version(), check.warnings, not box.info.ro }
end

return M
