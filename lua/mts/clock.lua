--- The clock of the store: Unix milliseconds. In tests it stands still and is moved by hand.

local clock = require("clock")

local M = {}
local frozen_ms

--- Unix milliseconds.
function M.now_ms()
    return frozen_ms or math.floor(clock.realtime() * 1000)
end

--- Seconds that only grow, and go on growing while a fiber works: those of `fiber.clock` stand still until it gives up
-- the processor.
M.elapsed_s = clock.monotonic

--- Stops the clock at a time, or lets it run again (nil). For tests.
function M.freeze(ms)
    frozen_ms = ms
end

return M
