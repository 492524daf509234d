/**
 * Who may do what over the WebSocket: every operation with every caller, every forged token, and how a token is shown:
 * with the upgrade, among the subprotocols, in a first frame, in a later one.
 * @module
 */
import { afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { ClientError } from "../client.ts";
import { readProblem } from "../http-client.ts";
import { rawUpgrade } from "../raw-ws.ts";
import { type UpgradeOptions, WsClient, type WsProtocol } from "../ws-client.ts";
import { type Caller, callersFor, expectedOf } from "./callers.ts";
import { forgeries } from "./forgeries.ts";
import { bearer, useAuthServer } from "./server.ts";
import { inSeconds } from "./token.ts";
import { wsOperations } from "./ws-operations.ts";

setDefaultTimeout(30_000);

const auth = useAuthServer();
const subject = "tenant-a.orders.1";
const opened: WsClient[] = [];

const connect = async (options: UpgradeOptions, protocol: WsProtocol = "mts.msgpack.v1"): Promise<WsClient> => {
  const client = await WsClient.connect(auth().server.wsUrl, protocol, options);
  opened.push(client);
  return client;
};

/** A socket that has shown no token. */
const knock = async (protocol: WsProtocol = "mts.msgpack.v1"): Promise<WsClient> => {
  const client = WsClient.open(auth().server.wsUrl, protocol);
  opened.push(client);
  await client.opened;
  return client;
};

const codeOf = (thrown: unknown): string => {
  if (thrown instanceof ClientError) return thrown.code;
  throw thrown;
};

const code = (answer: Promise<unknown>): Promise<string> => answer.then(() => "ok", codeOf);

afterEach(async () => {
  await Promise.all(opened.splice(0).map((client) => client.close()));
});

/** The token of a caller who has one that is valid. */
const tokenOf = ({ grants = {}, expiresInSeconds = 600 }: Caller): string =>
  auth().issuer.token(grants, { exp: inSeconds(expiresInSeconds) });

const refusals = new Set(["unauthenticated", "token_expired", "permission_denied"]);

describe("every operation with every caller", () => {
  beforeAll(async () => {
    const root = await WsClient.connect(auth().server.wsUrl, "mts.msgpack.v1", { token: auth().issuer.admin() });
    await root.publish({ subject, body: "stored" });
    await root.close();
  });

  const known = callersFor(subject).filter(
    (caller) => caller.grants !== undefined && caller.expiresInSeconds === undefined,
  );
  for (const protocol of ["mts.msgpack.v1", "mts.json.v1"] as const) {
    for (const caller of known) {
      test(`${protocol}: ${caller.name}`, async () => {
        const client = await connect({ token: tokenOf(caller) }, protocol);
        const outcomes: string[] = [];
        const expected: string[] = [];
        for (const { verb, frame } of wsOperations(subject)) {
          const { data, messages, ...rest } = frame;
          const text = data === undefined ? {} : { data: protocol === "mts.json.v1" ? "x" : data };
          const batch =
            messages === undefined
              ? {}
              : {
                  messages: [{ subject, ...(protocol === "mts.json.v1" ? { data: "x" } : { data: Uint8Array.of(1) }) }],
                };
          const answer = await client.request({ ...rest, ...text, ...batch }).catch((thrown: unknown) => thrown);
          const found =
            answer instanceof ClientError
              ? answer.code
              : JSON.stringify(answer).includes("permission_denied")
                ? "permission_denied"
                : "ok";
          outcomes.push(`${frame.op}: ${refusals.has(found) ? found : "ok"}`);
          expected.push(`${frame.op}: ${expectedOf(caller, verb)}`);
        }
        expect(outcomes).toEqual(expected);
      });
    }
  }

  test("an expired token is refused at the upgrade, whichever way it is shown", async () => {
    const expired = auth().issuer.admin({ exp: inSeconds(-5) });
    for (const line of [
      `Authorization: Bearer ${expired}`,
      `Sec-WebSocket-Protocol: mts.json.v1, mts.token.${expired}`,
    ]) {
      const { head, socket } = await rawUpgrade(auth().server.wsUrl, [line]);
      expect(head.status).toBe(401);
      expect(head.headers.get("www-authenticate")).toContain("expired");
      socket.destroy();
    }
  });
});

describe("forged tokens", () => {
  test("none is believed, in the header, among the subprotocols or in a frame", async () => {
    const { server, issuer } = auth();
    for (const { name, token, code: expected } of forgeries(issuer)) {
      const byHeader = await rawUpgrade(server.wsUrl, [`Authorization: Bearer ${token}`]);
      expect([name, byHeader.head.status]).toEqual([name, 401]);
      byHeader.socket.destroy();
      if (/^[\w.-]+$/.test(token)) {
        const byProtocol = await rawUpgrade(server.wsUrl, [`Sec-WebSocket-Protocol: mts.token.${token}, mts.json.v1`]);
        expect([name, byProtocol.head.status]).toEqual([name, 401]);
        byProtocol.socket.destroy();
      }
      const client = await knock("mts.json.v1");
      expect([name, await code(client.request({ op: "auth", token }))]).toEqual([name, expected]);
      await client.close();
    }
  });
});

describe("with the upgrade", () => {
  test("a token among the subprotocols is never the one that is chosen", async () => {
    const { server, issuer } = auth();
    const token = `mts.token.${issuer.admin()}`;
    for (const [offered, status, chosen] of [
      [`mts.msgpack.v1, ${token}`, 101, "mts.msgpack.v1"],
      [`${token}, mts.json.v1`, 101, "mts.json.v1"],
      [`${token},mts.json.v9,mts.json.v1`, 101, "mts.json.v1"],
      [token, 400, undefined],
      [`${token}, mts.json.v9`, 400, undefined],
      [`mts.json.v1, ${token}, ${token}`, 401, undefined],
      ["mts.json.v1, mts.token.", 401, undefined],
    ] as const) {
      const { head, socket } = await rawUpgrade(server.wsUrl, [`Sec-WebSocket-Protocol: ${offered}`]);
      expect([head.status, head.headers.get("sec-websocket-protocol")]).toEqual([status, chosen]);
      expect([...head.headers.values()].join(" ")).not.toContain(issuer.admin().slice(0, 30));
      socket.destroy();
    }
  });

  test("one token is enough: a header and a subprotocol together are refused", async () => {
    const { server, issuer } = auth();
    const token = issuer.admin();
    const { head, socket } = await rawUpgrade(server.wsUrl, [
      `Authorization: Bearer ${token}`,
      `Sec-WebSocket-Protocol: mts.json.v1, mts.token.${token}`,
    ]);
    expect(head.status).toBe(401);
    socket.destroy();
  });

  test("a plain request says why an upgrade failed", async () => {
    const { server, issuer } = auth();
    const url = `${server.url}/v1/ws`;
    expect((await fetch(url)).status).toBe(426);
    expect((await fetch(url, { headers: bearer(issuer.admin()) })).status).toBe(426);
    const expired = await fetch(url, { headers: bearer(issuer.admin({ exp: inSeconds(-5) })) });
    expect([expired.status, (await readProblem(expired)).code]).toEqual([401, "token_expired"]);
  });
});

describe("in a first frame", () => {
  for (const protocol of ["mts.msgpack.v1", "mts.json.v1"] as const) {
    test(`${protocol}: nothing is told before, everything works after`, async () => {
      const client = await knock(protocol);
      expect(await code(client.request({ op: "ping" }))).toBe("unauthenticated");
      expect(client.stray).toEqual([]);
      const expiresAt = inSeconds(600);
      const token = auth().issuer.admin({ exp: expiresAt });
      // Not waited for: what comes behind the token is read when that was looked at.
      const shown = client.request({ op: "auth", token });
      const published = client.publish({ subject: "first.frame", body: "x" });
      expect((await shown).fields).toMatchObject({
        op: "authenticated",
        client_id: "root",
        expires_at: expiresAt * 1000,
      });
      expect(client.welcome.string("epoch")).not.toBe("");
      expect((await published).subject).toBe("first.frame");
    });
  }

  test("the third wrong frame closes with 3501", async () => {
    const client = await knock();
    const answers = [
      client.request({ op: "publish", subject, data: Uint8Array.of(1) }),
      client.request({ op: "no-such-op" }),
      client.request({ op: "auth", token: 5 }),
    ].map(code);
    expect(await Promise.all(answers)).toEqual(["unauthenticated", "unknown_op", "invalid_parameter"]);
    expect(await client.closed).toEqual({ code: 3501, reason: "not authenticated" });
  });

  test("three wrong tokens do too", async () => {
    const client = await knock();
    const answers = ["a.b.c", "d.e.f", "g.h.i"].map((token) => code(client.request({ op: "auth", token })));
    expect(await Promise.all(answers)).toEqual(["unauthenticated", "unauthenticated", "unauthenticated"]);
    expect((await client.closed).code).toBe(3501);
  });

  test("who shows nothing is closed with 3501", async () => {
    const client = await knock();
    expect((await client.closed).code).toBe(3501);
  });

  test("a large frame closes with 1009", async () => {
    const client = await knock();
    client.sendRaw(new Uint8Array(16 * 1024 + 1));
    expect((await client.closed).code).toBe(1009);
  });

  test("the metrics count how they ended", async () => {
    const { server, issuer } = auth();
    const page = await (await fetch(`${server.url}/metrics`, { headers: bearer(issuer.admin()) })).text();
    expect(page).toMatch(/^mts_websocket_connections_closed_total\{code="3501"\} [1-9]/m);
    expect(page).toMatch(/^mts_websocket_frames_received_total [1-9]/m);
  });
});

describe("in a later frame", () => {
  const exp = (seconds: number): { readonly exp: number } => ({ exp: inSeconds(seconds) });
  const grants = { client_id: "c", allowed_subjects: ["later.>"], permissions: ["*"] };

  test("a newer token of the same client carries connection and subscriptions past the expiry", async () => {
    const { issuer } = auth();
    const client = await connect({ token: issuer.token(grants, exp(3)) });
    const subscription = await client.subscribe("later.a");
    const other = await connect({ token: issuer.token(grants, exp(3)) });
    const until = inSeconds(600);
    const reply = await client.request({ op: "auth", token: issuer.token(grants, { exp: until }) });
    expect(reply.fields).toMatchObject({ op: "authenticated", client_id: "c", expires_at: until * 1000 });
    // The one with the older token ends at its time; this one then still runs.
    expect((await other.closed).code).toBe(3005);
    await client.publish({ subject: "later.a", body: "x" });
    expect((await subscription.count(1)).length).toBe(1);
    expect(subscription.errors).toEqual([]);
  });

  test("what the newer token does not grant any more ends at once", async () => {
    const { issuer } = auth();
    const client = await connect({ token: issuer.token(grants) });
    const kept = await client.subscribe("later.kept");
    const lost = await client.subscribe("later.lost");
    await client.request({ op: "auth", token: issuer.token({ ...grants, deny_subjects: ["later.lost"] }) });
    await lost.conditions.until(() => lost.errors.length > 0);
    expect(lost.errors.map((error) => error.code)).toEqual(["permission_denied"]);
    await client.publish({ subject: "later.kept", body: "x" });
    expect(await code(client.publish({ subject: "later.lost", body: "x" }))).toBe("permission_denied");
    expect((await kept.count(1)).length).toBe(1);
  });

  test("another client's token, a wrong one and an expired one change nothing", async () => {
    const { issuer } = auth();
    const client = await connect({ token: issuer.token(grants) });
    for (const [token, expected] of [
      [issuer.admin(), "permission_denied"],
      ["x.y.z", "unauthenticated"],
      [issuer.token(grants, exp(-5)), "token_expired"],
    ] as const) {
      expect(await code(client.request({ op: "auth", token }))).toBe(expected);
    }
    expect((await client.publish({ subject: "later.b", body: "x" })).sequence).toBe(1);
  });
});

test("a foreign origin is refused before its token is looked at", async () => {
  const { server, issuer } = auth();
  for (const token of [issuer.admin(), "x.y.z"]) {
    const lines = ["Origin: https://evil.example", `Authorization: Bearer ${token}`];
    const { head, socket } = await rawUpgrade(server.wsUrl, lines);
    expect(head.status).toBe(403);
    expect(head.headers.get("access-control-allow-origin")).toBeUndefined();
    socket.destroy();
  }
});
