/**
 * The heartbeat, with a clock that the test turns; what else the transport does is tested through the whole server.
 * @module
 */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openFileBodies } from "../../bodies/files/index.ts";
import { createBroker } from "../../broker/index.ts";
import { ByteBudget } from "../../core/admission.ts";
import { openSqliteMetadata } from "../../metadata/sqlite/index.ts";
import { RawWs } from "../../testing/raw-ws.ts";
import { createWsTransport, type SocketState, type WsTimers, type WsTransport } from "./index.ts";

const bodyBytesMax = 1024;

/** Intervals whose ticks come when the test says so. */
class ManualTimers implements WsTimers {
  readonly ticks: (() => void)[] = [];

  every(_ms: number, tick: () => void): () => void {
    this.ticks.push(tick);
    return () => this.ticks.splice(this.ticks.indexOf(tick), 1);
  }

  after(): () => void {
    return () => undefined;
  }

  /** One whole heartbeat interval; connections are spread over its ticks. */
  beat(): void {
    for (let i = 0; i < 16; i++) for (const tick of this.ticks) tick();
  }
}

interface Rig {
  readonly timers: ManualTimers;
  readonly ws: WsTransport;
  readonly url: string;
  stop(): Promise<void>;
}

const start = async (): Promise<Rig> => {
  const folder = await mkdtemp(join(tmpdir(), "mts-ws-"));
  const metadata = await openSqliteMetadata({ path: ":memory:", clock: Date.now, dedupeWindowMs: 1000 });
  const bodies = await openFileBodies({ path: join(folder, "bodies") });
  const timers = new ManualTimers();
  const broker = createBroker({ metadata, bodies, bodyBytesMax });
  const log = { error: () => undefined };
  const anonymous = {
    clientId: "anonymous",
    expiresAt: Number.POSITIVE_INFINITY,
    broker,
    publishRefusal: () => undefined,
    adopt: () => undefined,
  };
  const authenticator = { anonymous, authenticate: () => anonymous };
  const ws = createWsTransport({
    broker,
    budget: new ByteBudget(1024 * 1024),
    socketsPerAddressMax: 0,
    authenticator,
    allowedOrigins: [],
    version: "1",
    node: "n",
    bodyBytesMax,
    log,
    timers,
  });
  const server = Bun.serve<SocketState>({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request, bunServer) => ws.upgrade(request, bunServer),
    websocket: ws.handlers,
  });
  return {
    timers,
    ws,
    url: `ws://127.0.0.1:${server.port}/v1/ws`,
    async stop() {
      await broker.drain();
      await ws.closeAll(3001, "over");
      await server.stop(true);
      await metadata.close();
      await bodies.close();
      await rm(folder, { recursive: true });
    },
  };
};

describe("heartbeat", () => {
  let rig: Rig;
  let client: RawWs;

  beforeEach(async () => {
    rig = await start();
    client = await RawWs.connect(rig.url, "mts.json.v1");
    expect((await client.next())?.payload.toString()).toContain('"op":"welcome"');
  });

  afterEach(async () => {
    client.socket.destroy();
    await rig.stop();
  });

  /** Everything that was sent before this returns has been taken in by the server. */
  const exchanged = async (): Promise<void> => {
    client.send('{"op":"ping"}');
    expect((await client.next())?.payload.toString()).toBe('{"op":"pong"}');
  };

  test("two silent pings end the connection with 3008, not one", async () => {
    rig.timers.beat();
    expect((await client.next())?.opcode).toBe(9);
    rig.timers.beat();
    expect((await client.next())?.opcode).toBe(9);
    expect(rig.ws.connections()).toBe(1);
    rig.timers.beat();
    expect(await client.closeCode()).toBe(3008);
    expect(rig.ws.connections()).toBe(0);
  });

  test("a client that answers pings, or sends anything, stays", async () => {
    for (let round = 0; round < 5; round++) {
      rig.timers.beat();
      const ping = await client.next();
      expect(ping?.opcode).toBe(9);
      // Odd rounds answer by a request alone.
      if (round % 2 === 0) client.send(ping?.payload ?? "", 10);
      await exchanged();
    }
    expect(rig.ws.connections()).toBe(1);
  });

  test("one answer makes up for the silence before it", async () => {
    for (let round = 0; round < 3; round++) {
      for (let silent = 0; silent < 2; silent++) {
        rig.timers.beat();
        expect((await client.next())?.opcode).toBe(9);
      }
      await exchanged();
    }
    expect(rig.ws.connections()).toBe(1);
  });

  test("a frame that does not come to its end within two pings ends its connection, and no other", async () => {
    const bystander = await RawWs.connect(rig.url, "mts.json.v1");
    expect((await bystander.next())?.payload.toString()).toContain('"op":"welcome"');
    // The head of a masked text frame of 1000 bytes, and a few of them: a pong cannot come before the rest.
    client.socket.write(Buffer.from([0x81, 0x80 | 126, 0x03, 0xe8, 0, 0, 0, 0, 0x7b, 0x22]));
    for (let round = 0; round < 3; round++) {
      rig.timers.beat();
      const ping = await bystander.next();
      expect(ping?.opcode).toBe(9);
      bystander.send(ping?.payload ?? "", 10);
      bystander.send('{"op":"ping"}');
      expect((await bystander.next())?.payload.toString()).toBe('{"op":"pong"}');
    }
    expect(await client.closeCode()).toBe(3008);
    expect(rig.ws.connections()).toBe(1);
    bystander.socket.destroy();
  });
});
