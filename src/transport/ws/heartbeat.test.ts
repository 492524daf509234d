/**
 * The heartbeat, with a clock that the test turns; what else the transport does is tested through the whole server.
 * @module
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Authenticator } from "../../auth/contract.ts";
import { RawWs } from "../../testing/raw-ws.ts";
import { startWsRig, type WsRig } from "../../testing/ws-rig.ts";

describe("heartbeat", () => {
  let rig: WsRig<Authenticator>;
  let client: RawWs;

  beforeEach(async () => {
    rig = await startWsRig((anonymous) => ({ anonymous, authenticate: () => anonymous }));
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
