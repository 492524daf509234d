/**
 * A WebSocket server that sends every message back, on the socket options of the product: what the Autobahn fuzzing
 * client talks to. `bun scripts/conformance/echo.ts [PORT]` prints its URL.
 * @module
 */
import { socketOptions } from "../../src/transport/ws/socket-options.ts";

/** The default of `max_body_bytes`. */
const bodyBytesMax = 64 * 1024 * 1024;

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(Bun.argv[2] ?? 0),
  fetch: (request, bunServer) =>
    bunServer.upgrade(request) ? undefined : new Response("WebSocket only", { status: 426 }),
  websocket: {
    ...socketOptions(bodyBytesMax),
    message: (socket, message) => {
      if (typeof message === "string") socket.sendText(message);
      else socket.sendBinary(message);
    },
  },
});
process.stdout.write(`ws://${server.hostname}:${server.port}\n`);
