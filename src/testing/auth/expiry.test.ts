/**
 * What runs when its token expires: live subscriptions, long polls, event streams, and connections. Tokens last a second
 * or two, and every case waits for the end itself.
 * @module
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { ClientError } from "../client.ts";
import { readProblem } from "../http-client.ts";
import { SseStream } from "../sse.ts";
import { WsClient } from "../ws-client.ts";
import { bearer, useAuthServer } from "./server.ts";
import { inSeconds } from "./token.ts";

setDefaultTimeout(30_000);

const auth = useAuthServer();
const grants = { client_id: "c", allowed_subjects: ["e.>"], permissions: ["*"] };

/** A token with one or two seconds to live. */
const shortLived = (): { readonly token: string; readonly expiresAtMs: number } => {
  const exp = inSeconds(2);
  return { token: auth().issuer.token(grants, { exp }), expiresAtMs: exp * 1000 };
};

describe("over HTTP", () => {
  test("a long poll is answered with token_expired", async () => {
    const { token, expiresAtMs } = shortLived();
    const url = `${auth().server.url}/v1/subjects/e.poll/messages?from=new&wait_ms=60000`;
    const response = await fetch(url, { headers: bearer(token) });
    expect(Date.now()).toBeGreaterThanOrEqual(expiresAtMs);
    expect([response.status, (await readProblem(response)).code]).toEqual([401, "token_expired"]);
  });

  test("so is a fetch that waits", async () => {
    const { token, expiresAtMs } = shortLived();
    const response = await fetch(`${auth().server.url}/v1/subjects/e.poll/consumers/c/fetch`, {
      method: "POST",
      headers: { ...bearer(token), "content-type": "application/json" },
      body: JSON.stringify({ wait_ms: 60_000 }),
    });
    expect(Date.now()).toBeGreaterThanOrEqual(expiresAtMs);
    expect([response.status, (await readProblem(response)).code]).toEqual([401, "token_expired"]);
  });

  test("an event stream says so and ends", async () => {
    const { token, expiresAtMs } = shortLived();
    const stream = await SseStream.open(`${auth().server.url}/v1/subjects/e.tail/messages`, bearer(token));
    expect((await stream.nextEvent())?.event).toBe("open");
    const last = await stream.nextEvent();
    expect(Date.now()).toBeGreaterThanOrEqual(expiresAtMs);
    expect([last?.event, JSON.parse(last?.data ?? "")]).toEqual([
      "error",
      expect.objectContaining({ code: "token_expired" }),
    ]);
    expect(await stream.nextEvent()).toBeUndefined();
  });

  test("a token that was remembered is not believed past its time", async () => {
    const { token, expiresAtMs } = shortLived();
    const ask = async (): Promise<number> =>
      (await fetch(`${auth().server.url}/v1/subjects`, { headers: bearer(token) })).status;
    let status = await ask();
    expect(status).toBe(200);
    while (status === 200) status = await ask();
    expect(status).toBe(401);
    expect(Date.now()).toBeGreaterThanOrEqual(expiresAtMs);
  });
});

describe("over the WebSocket", () => {
  for (const protocol of ["mts.msgpack.v1", "mts.json.v1"] as const) {
    test(`${protocol}: subscriptions end, the connection says why and closes with 3005`, async () => {
      const { token, expiresAtMs } = shortLived();
      const client = await WsClient.connect(auth().server.wsUrl, protocol, { token });
      const live = await client.subscribe("e.live");
      const notified = await client.subscribe("e.*", { mode: "notify" });
      const waiting = client.request({ op: "fetch", subject: "e.none", from: "new", wait_ms: 60_000 }).then(
        () => "answered",
        (error: unknown) => (error instanceof ClientError ? error.code : String(error)),
      );
      expect(await client.closed).toEqual({ code: 3005, reason: "the token has expired" });
      expect(Date.now()).toBeGreaterThanOrEqual(expiresAtMs);
      for (const { errors } of [live, notified]) expect(errors.map(({ code }) => code)).toEqual(["token_expired"]);
      expect(await waiting).toBe("token_expired");
      expect(client.stray.map(({ fields }) => fields["code"])).toEqual(["token_expired"]);
    });
  }

  test("what is asked in the last moment is refused or done, never lost without an answer", async () => {
    const { token } = shortLived();
    const client = await WsClient.connect(auth().server.wsUrl, "mts.msgpack.v1", { token });
    const outcomes = new Set<string>();
    let stored = 0;
    while (!outcomes.has("token_expired")) {
      const outcome = await client.publish({ subject: "e.last", body: "x" }).then(
        () => "stored",
        (error: unknown) => (error instanceof ClientError ? error.code : "closed"),
      );
      if (outcome === "stored") stored++;
      outcomes.add(outcome);
      if (outcome === "closed") break;
    }
    expect([...outcomes].filter((outcome) => !["stored", "token_expired", "closed"].includes(outcome))).toEqual([]);
    const response = await fetch(`${auth().server.url}/v1/subjects/e.last`, { headers: bearer(auth().issuer.admin()) });
    expect(((await response.json()) as { messages: number }).messages).toBe(stored);
  });
});
