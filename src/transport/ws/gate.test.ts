/**
 * The bounds of sockets that have shown no token, with deadlines that come when the test says so; how tokens are shown
 * and refused is tested through the whole server.
 * @module
 */
import { afterEach, beforeEach, expect, test } from "bun:test";
import type { Authenticator, Principal } from "../../auth/contract.ts";
import { StreamError } from "../../core/errors.ts";
import { RawWs, rawUpgrade } from "../../testing/raw-ws.ts";
import { startWsRig, type WsRig } from "../../testing/ws-rig.ts";

const unknownMax = 1000;

/** Believes one token, when it is told to look at it. */
class SlowAuthenticator implements Authenticator {
  readonly anonymous = undefined;
  #look: () => void = () => undefined;
  readonly #principal: Principal;
  /** Resolves when a token waits to be looked at. */
  asked = Promise.withResolvers<undefined>();

  constructor(principal: Principal) {
    this.#principal = principal;
  }

  async authenticate(token: string): Promise<Principal> {
    await new Promise<void>((resolve) => {
      this.#look = resolve;
      this.asked.resolve(undefined);
    });
    if (token === "valid") return this.#principal;
    throw new StreamError("unauthenticated", "It is another one.");
  }

  look(): void {
    this.asked = Promise.withResolvers();
    this.#look();
  }
}

let rig: WsRig<SlowAuthenticator>;
beforeEach(async () => {
  rig = await startWsRig((principal) => new SlowAuthenticator(principal));
});
afterEach(() => rig.stop());

const knock = (): Promise<RawWs> => RawWs.connect(rig.url, "mts.json.v1");
const op = async (socket: RawWs): Promise<unknown> => {
  const frame = await socket.nextMessage();
  return frame === undefined ? undefined : (JSON.parse(frame.toString("utf8")) as { op: unknown }).op;
};

test("so many may wait at once, and each that is known or gone makes room", async () => {
  const [first, ...others] = await Promise.all(Array.from({ length: unknownMax }, knock));
  if (first === undefined) throw new Error("no socket");
  const refused = await rawUpgrade(rig.url);
  expect([refused.head.status, refused.head.headers.get("retry-after")]).toEqual([503, "1"]);
  refused.socket.destroy();

  first.send(JSON.stringify({ op: "auth", token: "valid" }));
  await rig.authenticator.asked.promise;
  rig.authenticator.look();
  expect([await op(first), await op(first)]).toEqual(["welcome", "authenticated"]);
  const late = await knock();

  for (const deadline of [...rig.timers.deadlines]) deadline();
  expect(await Promise.all([late, ...others].map((socket) => socket.closeCode()))).toEqual(
    Array.from({ length: unknownMax }, () => 3501),
  );
  // The one that is known was not meant by any deadline.
  first.send(JSON.stringify({ op: "ping", id: 1 }));
  expect(await op(first)).toBe("pong");
});

test("a token that came in time is looked at past the deadline", async () => {
  const socket = await knock();
  socket.send(JSON.stringify({ op: "auth", token: "valid" }));
  await rig.authenticator.asked.promise;
  for (const deadline of [...rig.timers.deadlines]) deadline();
  rig.authenticator.look();
  expect([await op(socket), await op(socket)]).toEqual(["welcome", "authenticated"]);

  const other = await knock();
  other.send(JSON.stringify({ op: "auth", token: "another" }));
  await rig.authenticator.asked.promise;
  for (const deadline of [...rig.timers.deadlines]) deadline();
  rig.authenticator.look();
  expect(await op(other)).toBe("error");
  expect(await other.closeCode()).toBe(3501);
});

test("behind a token that is looked at, a few frames are kept and too many close", async () => {
  const socket = await knock();
  socket.send(JSON.stringify({ op: "auth", token: "valid" }));
  for (let i = 0; i < 17; i++) socket.send(JSON.stringify({ op: "ping", id: i }));
  expect(await socket.closeCode()).toBe(3501);
});
