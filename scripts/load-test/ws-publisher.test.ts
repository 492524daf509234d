import { expect, test } from "bun:test";
import { decodeMsgpack, encodeMsgpack } from "../../src/codec/msgpack.ts";
import { parseOptions } from "./options.ts";
import { run } from "./run.ts";

const window = 40;

/** A server that answers nothing before a whole window is there. */
const startPatient = (): { readonly url: string; stop(): Promise<void> } => {
  const ids: unknown[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request, bun) => {
      if (new URL(request.url).pathname === "/v1/ws" && bun.upgrade(request)) return undefined;
      return Response.json({ subjects: [], has_more: false });
    },
    websocket: {
      open: (socket) => {
        socket.send(encodeMsgpack({ op: "welcome" }));
      },
      message: (socket, frame) => {
        const { id, subject } = decodeMsgpack(frame as Buffer) as { id: number; subject: string };
        ids.push(id);
        if (ids.length !== window) return;
        for (const [index, each] of ids.entries()) {
          const answer = { op: "published", id: each, subject, sequence: index + 1, timestamp: 1, duplicate: false };
          socket.send(encodeMsgpack(answer));
        }
      },
    },
  });
  return { url: `http://127.0.0.1:${server.port}`, stop: () => server.stop(true) };
};

test("large bodies fill the window, whatever fits into the output buffer", async () => {
  const server = startPatient();
  try {
    const argv = ["--url", server.url, "--warmup", "0s", "--subscribers", "0", "--size", "64KB"];
    const parsed = parseOptions([...argv, "--count", String(window), "--window", String(window)]);
    if (parsed.kind !== "run") throw new Error(JSON.stringify(parsed));
    const outcome = await run(server.url, parsed.options, { signal: new AbortController().signal });
    expect(outcome.publish?.messages).toBe(window);
    expect(outcome.errors).toEqual({});
  } finally {
    await server.stop();
  }
});
