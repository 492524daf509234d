import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { FrameReader, frameHeadBytesMax, RawWebSocket, writeFrameHead } from "./raw-ws.ts";

/** A frame as a server sends it. */
const serverFrame = (opcode: number, payload: Buffer, final = true): Buffer => {
  const head =
    payload.length < 126
      ? Buffer.from([0, payload.length])
      : payload.length < 0x10000
        ? Buffer.from([0, 126, payload.length >> 8, payload.length & 0xff])
        : Buffer.concat([
            Buffer.from([0, 127, 0, 0, 0, 0]),
            Buffer.from(new Uint32Array([payload.length]).buffer).swap32(),
          ]);
  head[0] = (final ? 0x80 : 0) | opcode;
  return Buffer.concat([head, payload]);
};

describe("frames are found", () => {
  const payloads = [0, 1, 125, 126, 300, 70_000].map((length) => Buffer.alloc(length, length & 0xff));
  const stream = Buffer.concat(payloads.map((payload) => serverFrame(2, payload)));

  const readIn = (pieces: readonly Buffer[]): Buffer[] => {
    const found: Buffer[] = [];
    const reader = new FrameReader((_opcode, _final, bytes, start, end) => {
      found.push(Buffer.from(bytes.subarray(start, end)));
    });
    for (const piece of pieces) reader.read(piece);
    return found;
  };

  test("in one piece", () => {
    expect(readIn([stream])).toEqual(payloads);
  });

  test("in two pieces, cut anywhere around their heads", () => {
    for (let cut = 0; cut < 600; cut++) {
      expect(readIn([stream.subarray(0, cut), stream.subarray(cut)])).toEqual(payloads);
    }
  });

  test.each([1, 2, 3, 7, 1000])("in pieces of %d bytes", (size) => {
    const pieces: Buffer[] = [];
    for (let at = 0; at < stream.length; at += size) pieces.push(stream.subarray(at, at + size));
    expect(readIn(pieces)).toEqual(payloads);
  });

  test("a masked frame and a reserved bit are refused", () => {
    expect(() => readIn([Buffer.from([0x82, 0x80, 0, 0, 0, 0])])).toThrow("masked");
    expect(() => readIn([Buffer.from([0xc2, 0x00])])).toThrow("reserved");
  });
});

describe("against Bun's server", () => {
  let server: Bun.Server<undefined>;
  beforeAll(() => {
    server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch(request, bun) {
        if (new URL(request.url).pathname !== "/ws") return new Response(null, { status: 404 });
        return bun.upgrade(request) ? undefined : new Response(null, { status: 426 });
      },
      websocket: {
        maxPayloadLength: 4 * 1024 * 1024,
        message(socket, message) {
          if (message.length === 5) socket.close(3008, "too slow");
          else if (message.length === 4) socket.ping("are you there");
          else socket.send(message);
        },
        pong: (socket, data) => {
          socket.send(data);
        },
      },
    });
  });
  afterAll(async () => {
    await server.stop(true);
  });

  const connect = async (path = "/ws") => {
    const messages: Buffer[] = [];
    const closed = Promise.withResolvers<string>();
    let arrived = (): void => undefined;
    const ws = await RawWebSocket.connect(new URL(path, server.url), "mts.msgpack.v1", {
      message: (bytes, start, end) => {
        messages.push(Buffer.from(bytes.subarray(start, end)));
        arrived();
      },
      turn: () => undefined,
      writable: () => undefined,
      closed: (reason) => closed.resolve(reason),
    });
    const received = (count: number): Promise<Buffer[]> =>
      new Promise((resolve) => {
        arrived = () => {
          if (messages.length >= count) resolve(messages);
        };
        arrived();
      });
    return { ws, received, closed: closed.promise };
  };

  test("messages of every length form come back as they were sent, in order", async () => {
    const { ws, received } = await connect();
    const payloads = [0, 1, 125, 126, 65_535, 65_536, 2_000_000].map((length) => Buffer.alloc(length, "abc"));
    for (const payload of payloads) {
      while (!ws.socket.reserve(frameHeadBytesMax + payload.length)) await received(payloads.indexOf(payload));
      const { out, outEnd } = ws.socket;
      const at = writeFrameHead(out, outEnd, 2, payload.length);
      payload.copy(out, at);
      ws.socket.outEnd = at + payload.length;
      ws.socket.flush();
    }
    expect(await received(payloads.length)).toEqual(payloads);
    ws.close();
  });

  test("a ping is answered with what it said", async () => {
    const { ws, received } = await connect();
    ws.send(Buffer.from("ping"));
    expect((await received(1))[0]?.toString()).toBe("are you there");
    ws.close();
  });

  test("the server's close code is told", async () => {
    const { ws, closed } = await connect();
    ws.send(Buffer.from("close"));
    expect(await closed).toBe("closed_3008");
  });

  test("an answer that is no upgrade is refused", async () => {
    const refusal: unknown = await connect("/other").catch((error: unknown) => error);
    expect(String(refusal)).toContain("404");
  });
});
