/**
 * A client at another address that does nothing wrong while others go over a limit.
 * @module
 */
import { RawSocket, takeHead } from "../raw-socket.ts";
import type { TestServer } from "../server.ts";

/** Another address of this machine than the one that tests come from. */
const elsewhere = "127.0.0.2";

/** Sends a request from another address on a connection of its own, and answers the status. */
export const askFromElsewhere = async (
  server: TestServer,
  method: string,
  path: string,
  body: string | Uint8Array = "",
): Promise<number | undefined> => {
  const socket = await RawSocket.connect(server.url, elsewhere);
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${new URL(server.url).host}`, `Content-Length: ${body.length}`];
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  if (body.length > 0) socket.write(body);
  const head = await takeHead(socket);
  socket.destroy();
  return head?.status;
};
