/**
 * Opening and closing: negotiation, the welcome, frames that end the connection.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { packMsgpack, unpackMsgpack } from "../client.ts";
import { HttpClient } from "../http-client.ts";
import { RawWs, rawUpgrade } from "../raw-ws.ts";
import { startTestServer, type TestServer, uniqueSubject } from "../server.ts";
import { WireMap } from "../wire.ts";
import { WsClient } from "../ws-client.ts";
import type { WsGroup } from "./group.ts";

const MiB = 1024 * 1024;

const problemCode = async (response: Response): Promise<[number, string]> => [
  response.status,
  ((await response.json()) as { code: string }).code,
];

const defineNegotiation = ({ server }: WsGroup): void => {
  test.each([
    ["none offered", undefined, undefined, 2],
    ["msgpack", "mts.msgpack.v1", "mts.msgpack.v1", 2],
    ["json", "mts.json.v1", "mts.json.v1", 1],
    ["an unknown one beside json", "other, mts.json.v1", "mts.json.v1", 1],
    ["an unknown one beside msgpack", "mts.json.v2,mts.msgpack.v1", "mts.msgpack.v1", 2],
  ] as const)("subprotocol: %s", async (_, offered, chosen, opcode) => {
    const lines = offered === undefined ? [] : [`Sec-WebSocket-Protocol: ${offered}`];
    const { head, socket } = await rawUpgrade(server().wsUrl, lines);
    expect(head.status).toBe(101);
    // RFC 6455 4.2.2: a subprotocol that was not offered must not be answered.
    expect(head.headers.get("sec-websocket-protocol")).toBe(chosen);
    const frame = await RawWs.over(socket).next();
    expect(frame?.opcode).toBe(opcode);
    const payload = frame?.payload ?? Buffer.alloc(0);
    const welcome = opcode === 1 ? JSON.parse(payload.toString("utf8")) : unpackMsgpack(payload, "welcome");
    expect(welcome).toMatchObject({ op: "welcome" });
    socket.destroy();
  });

  test("both offered: one of them is chosen and spoken", async () => {
    const { head, socket } = await rawUpgrade(server().wsUrl, ["Sec-WebSocket-Protocol: mts.json.v1, mts.msgpack.v1"]);
    const frame = await RawWs.over(socket).next();
    const chosen = head.headers.get("sec-websocket-protocol") ?? "";
    expect(frame?.opcode).toBe(chosen === "mts.json.v1" ? 1 : 2);
    socket.destroy();
  });

  test("only unknown subprotocols are 400, no upgrade is 426, a foreign origin 403", async () => {
    const url = `${server().url}/v1/ws`;
    const upgrade = {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
    };
    const { head, socket } = await rawUpgrade(server().wsUrl, ["Sec-WebSocket-Protocol: mts.json.v9, graphql-ws"]);
    expect([head.status, head.headers.get("content-type")]).toEqual([400, "application/problem+json"]);
    socket.destroy();
    expect(await problemCode(await fetch(url))).toEqual([426, "upgrade_required"]);
    const foreign = await rawUpgrade(server().wsUrl, ["Origin: https://evil.example"]);
    expect(foreign.head.status).toBe(403);
    foreign.socket.destroy();
    const rebound = await rawUpgrade(server().wsUrl, ["Host: evil.example"]);
    expect(rebound.head.status).toBe(403);
    rebound.socket.destroy();
    const own = await rawUpgrade(server().wsUrl, [`Origin: ${server().url}`]);
    expect(own.head.status).toBe(101);
    own.socket.destroy();
    expect((await fetch(url, { method: "POST", headers: upgrade })).status).toBe(405);
  });
};

const defineWelcome = ({ server, open }: WsGroup): void => {
  test.each(["mts.msgpack.v1", "mts.json.v1"] as const)(
    "the welcome of %s tells who and how much",
    async (protocol) => {
      const { welcome } = await open(protocol);
      for (const name of ["server", "version", "node", "epoch"]) expect(welcome.string(name)).not.toBe("");
      const bodyBytesMax = welcome.integer("max_body_bytes", 1);
      expect(bodyBytesMax).toBe(64 * MiB);
      expect(welcome.integer("max_frame_bytes")).toBeGreaterThanOrEqual((bodyBytesMax * 4) / 3 + MiB);
      welcome.integer("heartbeat_ms", 1);
      expect(welcome.has("id")).toBe(false);
      expect(welcome.string("epoch")).toBe((await new HttpClient(server().url).read(uniqueSubject("epoch"))).epoch);
    },
  );
};

const defineCloseCodes = ({ server, open }: WsGroup): void => {
  const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
  const ping = packMsgpack({ op: "ping", id: 1 });
  const frames: readonly (readonly [
    name: string,
    protocol: "mts.msgpack.v1" | "mts.json.v1",
    frame: string | Uint8Array,
    code: number,
  ])[] = [
    ["msgpack cut short", "mts.msgpack.v1", ping.slice(0, -1), 1007],
    ["two msgpack values", "mts.msgpack.v1", Uint8Array.of(...ping, ...ping), 1007],
    ["a byte after the value", "mts.msgpack.v1", Uint8Array.of(...ping, 0), 1007],
    ["the byte that msgpack never uses", "mts.msgpack.v1", Uint8Array.of(0xc1), 1007],
    ["an empty binary frame", "mts.msgpack.v1", new Uint8Array(), 1007],
    ["an array of four billion", "mts.msgpack.v1", Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff), 1007],
    ["a map of four billion", "mts.msgpack.v1", Uint8Array.of(0xdf, 0xff, 0xff, 0xff, 0xff, 0xa0), 1007],
    ["a string of four billion", "mts.msgpack.v1", Uint8Array.of(0xdb, 0xff, 0xff, 0xff, 0xff), 1007],
    ["a text frame under msgpack", "mts.msgpack.v1", "123", 1003],
    ["JSON cut short", "mts.json.v1", '{"op":"ping","id":1', 1007],
    ["two JSON texts", "mts.json.v1", '{"op":"ping"}{"op":"ping"}', 1007],
    ["no JSON", "mts.json.v1", "ping", 1007],
    ["an empty text frame", "mts.json.v1", "", 1007],
    ["a binary frame under JSON", "mts.json.v1", utf8('{"op":"ping","id":1}'), 1003],
  ];
  test.each(frames.map((row) => [...row] as [string, "mts.msgpack.v1" | "mts.json.v1", string | Uint8Array, number]))(
    "%s (%s) closes the connection",
    async (_, protocol, frame, code) => {
      const client = await WsClient.connect(server().wsUrl, protocol);
      client.sendRaw(frame);
      expect((await client.closed).code).toBe(code);
    },
  );

  test("text that is no UTF-8 closes with 1007", async () => {
    const raw = await RawWs.connect(server().wsUrl, "mts.json.v1");
    raw.send(Uint8Array.of(0x22, 0xff, 0x22), 1);
    expect(await raw.closeCode()).toBe(1007);
    raw.socket.destroy();
  });

  test("nesting without end is refused and hurts nobody", async () => {
    const deep = Uint8Array.of(...Array<number>(60_000).fill(0x91), 0xc0);
    const client = await open();
    client.sendRaw(deep);
    await Promise.race([client.closed, client.until(() => client.stray.length > 0)]);
    const json = await open("mts.json.v1");
    json.sendRaw(`${"[".repeat(100_000)}${"]".repeat(100_000)}`);
    await Promise.race([json.closed, json.until(() => json.stray.length > 0)]);
    await (await open()).ping();
  });
};

/** The group. */
export const defineHandshake = (group: WsGroup): void => {
  describe("opening and closing", () => {
    defineNegotiation(group);
    defineWelcome(group);
    defineCloseCodes(group);
  });
};

/** Cases for a server with `MTS_MAX_BODY_BYTES=1MiB`. */
export const defineFrameLimit = (server: () => TestServer): void => {
  describe("frame limits", () => {
    test("a frame over max_frame_bytes closes with 1009", async () => {
      const client = await WsClient.connect(server().wsUrl);
      const frameBytesMax = client.welcome.integer("max_frame_bytes");
      client.sendRaw(new Uint8Array(frameBytesMax + 1));
      expect((await client.closed).code).toBe(1009);
    });

    test("the largest body fits, one byte more is body_too_large", async () => {
      for (const protocol of ["mts.msgpack.v1", "mts.json.v1"] as const) {
        const client = await WsClient.connect(server().wsUrl, protocol);
        const subject = uniqueSubject("frame");
        const body = new Uint8Array(MiB).fill(0xff);
        expect(await client.publish({ subject, body })).toMatchObject({ sequence: 1 });
        const tooLarge = client.publish({ subject, body: new Uint8Array(MiB + 1).fill(0xff) });
        expect(((await tooLarge.catch((error: unknown) => error)) as { code: string }).code).toBe("body_too_large");
        const subscription = await client.subscribe(subject, { from: "first" });
        expect((await subscription.count(1))[0]?.body.length).toBe(MiB);
        await client.close();
      }
    });
  });

  describe("the end of the server", () => {
    test("closes connections with 3001 and answers what waits", async () => {
      const own = await startTestServer();
      const client = await WsClient.connect(own.wsUrl);
      const raw = await RawWs.connect(own.wsUrl, "mts.json.v1");
      try {
        await client.subscribe(uniqueSubject("stop"));
        const waiting = client.request({ op: "fetch", subject: uniqueSubject("stop"), from: 1, wait_ms: 60_000 });
        await client.ping();
        const stopped = own.stop();
        expect((await waiting).list("messages")).toEqual([]);
        expect((await client.closed).code).toBe(3001);
        expect(await raw.closeCode()).toBe(3001);
        raw.socket.destroy();
        await stopped;
      } finally {
        await own.close();
      }
    });

    test("keeps its epoch over a restart", async () => {
      await using own = await startTestServer();
      const epochs: string[] = [];
      for (const signal of ["SIGTERM", "SIGKILL"] as const) {
        const client = await WsClient.connect(own.wsUrl);
        epochs.push(new WireMap(client.welcome.fields, "welcome").string("epoch"));
        await client.close();
        await own.restart(signal);
      }
      expect(epochs[0]).toBe(epochs[1]);
    });
  });
};
