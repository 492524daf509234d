/**
 * The smallest HTTP/2 server that this runtime can have: what the gRPC port is measured against, since what both do
 * wrong is the runtime's. `bun scripts/conformance/bare-http2.ts [PORT]` prints its URL.
 * @module
 */
import { createServer, type ServerHttp2Stream } from "node:http2";

const server = createServer();
server.on("stream", (stream: ServerHttp2Stream) => {
  // A client that goes away in the middle is what this is about.
  stream.on("error", () => undefined);
  stream.respond({ ":status": 200, "content-type": "text/plain" });
  stream.end("hello");
});
server.on("sessionError", () => undefined);
server.listen(Number(Bun.argv[2] ?? 0), "127.0.0.1", () => {
  const address = server.address();
  if (address !== null && typeof address === "object") process.stdout.write(`http://127.0.0.1:${address.port}\n`);
});
