-- Ends with 0 when the Tarantool of this container lets the application in and answers: the image"s health check.
-- lua/init.lua listens only when schema, functions and rights are in place.
local net_box = require("net.box")

local connection = net_box.connect("127.0.0.1:3301", {
    user = os.getenv("MTS_TARANTOOL_USER") or "minitoolstream",
    password = os.getenv("MTS_TARANTOOL_PASSWORD") or "changeme",
    wait_connected = 2,
})
local ready = connection:ping({timeout = 2})
os.exit(ready and 0 or 1)
