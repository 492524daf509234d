/**
 * Times that a publish carries: how long a message lives, and when it is published.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { HttpClient, subjectPath } from "../http-client.ts";
import { until } from "../policies.ts";
import { type TestServer, uniqueSubject } from "../server.ts";
import { expectProblem, request, sendJson } from "./request.ts";

const hourMs = 3_600_000;

interface PageBody {
  readonly messages: readonly { readonly sequence: number; readonly timestamp: number; readonly expires_at?: number }[];
  readonly last_sequence: number;
}

const publish = (server: TestServer, subject: string, headers: Record<string, string>, query = ""): Promise<Response> =>
  request(server, "POST", `${subjectPath(subject)}/messages${query}`, { headers, body: "x" });

const read = async (server: TestServer, subject: string, query = ""): Promise<PageBody> =>
  (await (await request(server, "GET", `${subjectPath(subject)}/messages${query}`)).json()) as PageBody;

const defineLife = (server: () => TestServer): void => {
  test.each([
    ["1h", hourMs],
    ["90", 90_000],
  ])("Message-TTL %s is told with every message", async (ttl, ttlMs) => {
    const subject = uniqueSubject("ttl");
    expect((await publish(server(), subject, { "message-ttl": ttl })).status).toBe(201);
    for (const query of ["", "?headers_only=true"]) {
      const [message] = (await read(server(), subject, query)).messages;
      expect(message?.expires_at).toBe((message?.timestamp ?? 0) + ttlMs);
    }
    const one = await request(server(), "GET", `${subjectPath(subject)}/messages/1`);
    expect(Number(one.headers.get("x-expires-at"))).toBe(Number(one.headers.get("x-timestamp")) + ttlMs);
    const peek = await request(server(), "GET", `${subjectPath(subject)}/consumers/c/peek`);
    expect(((await peek.json()) as PageBody).messages[0]?.expires_at).toBeNumber();
  });

  test("what has expired is gone from the middle, and is 410", async () => {
    const subject = uniqueSubject("ttl");
    const messages = [{ ttl_ms: hourMs }, { ttl_ms: 1 }, {}].map((times) => ({ subject, data: "x", ...times }));
    expect((await sendJson(server(), "POST", "/v1/messages", { messages })).status).toBe(200);
    const page = await until(
      () => read(server(), subject),
      (found) => found.messages.length < 3,
    );
    expect(page.messages.map(({ sequence }) => sequence)).toEqual([1, 3]);
    expect(page.last_sequence).toBe(3);
    await expectProblem(await request(server(), "GET", `${subjectPath(subject)}/messages/2`), 410, "message_expired");
    const details = (await (await request(server(), "GET", subjectPath(subject))).json()) as object;
    expect(details).toMatchObject({ first_sequence: 1, last_sequence: 3, messages: 2, bytes: 2 });
  });
};

const defineDelays = (server: () => TestServer): void => {
  test("a delayed message is there when its time has come, not before", async () => {
    const subject = uniqueSubject("delay");
    const response = await publish(server(), subject, { delay: "50ms", "message-ttl": "1h" });
    expect([response.status, response.headers.get("location")]).toEqual([202, null]);
    const scheduled = (await response.json()) as { readonly scheduled_id: string; readonly deliver_at: number };
    expect(scheduled).toMatchObject({ subject, duplicate: false });
    expect(scheduled.scheduled_id).not.toBe("");
    expect(Object.keys(scheduled)).toHaveLength(4);
    const page = await read(server(), subject, "?from=first&wait_ms=20000");
    const [message] = page.messages;
    expect(message?.timestamp).toBeGreaterThanOrEqual(scheduled.deliver_at);
    // Its life begins when it is published.
    expect(message?.expires_at).toBe((message?.timestamp ?? 0) + hourMs);
  });

  test("what waits is in no read, and takes no number", async () => {
    const subject = uniqueSubject("delay");
    const at = new Date(Date.now() + hourMs).toISOString();
    for (const headers of [
      { delay: "1h" },
      { delay: "3600" },
      { "deliver-at": at },
      { "deliver-at": `${Date.parse(at)}` },
    ]) {
      const response = await publish(server(), subject, headers);
      expect(response.status).toBe(202);
      if ("deliver-at" in headers) expect(await response.json()).toMatchObject({ deliver_at: Date.parse(at) });
    }
    expect(await read(server(), subject)).toMatchObject({ messages: [], last_sequence: 0 });
    expect((await publish(server(), subject, {})).status).toBe(201);
    expect((await read(server(), subject)).last_sequence).toBe(1);
  });

  test("a time that is past is now", async () => {
    const subject = uniqueSubject("delay");
    for (const headers of [{ delay: "0" }, { "deliver-at": "2020-01-01T00:00:00Z" }, { "deliver-at": "1000" }]) {
      expect((await publish(server(), subject, headers as Record<string, string>)).status).toBe(201);
    }
    expect((await read(server(), subject)).last_sequence).toBe(3);
  });

  test("a retry finds what waits", async () => {
    const subject = uniqueSubject("delay");
    const headers = { delay: "1h", "idempotency-key": "once" };
    const first = (await (await publish(server(), subject, headers)).json()) as object;
    const again = await publish(server(), subject, headers);
    expect([again.status, await again.json()]).toEqual([202, { ...first, duplicate: true }]);
  });

  test("a batch may hold both", async () => {
    const subject = uniqueSubject("delay");
    const at = Date.now() + hourMs;
    const messages = [
      { subject, data: "now" },
      { subject, data: "later", delay_ms: hourMs },
      { subject, data: "then", deliver_at: at },
      { subject, data: "then", deliver_at: new Date(at).toISOString() },
      { subject, data: "wrong", delay_ms: 1, deliver_at: at },
      { subject, data: "wrong", delay_ms: 1, expected_last_sequence: 1 },
    ];
    const response = await sendJson(server(), "POST", "/v1/messages", { messages });
    const { results } = (await response.json()) as { readonly results: readonly object[] };
    expect(results).toMatchObject([
      { sequence: 1 },
      { scheduled_id: expect.any(String) as string },
      { deliver_at: at },
      { deliver_at: at },
      { error: { code: "invalid_parameter", parameter: "deliver_at" } },
      { error: { code: "invalid_parameter", parameter: "delay_ms" } },
    ]);
  });

  test("delayed messages survive a crash", async () => {
    const subject = uniqueSubject("delay");
    expect((await publish(server(), subject, { delay: "1s" })).status).toBe(202);
    await server().restart("SIGKILL");
    const page = await new HttpClient(server().url).read(subject, { from: "first", waitMs: 20_000 });
    expect(page.messages.map(({ sequence }) => sequence)).toEqual([1]);
  });
};

const defineRefusals = (server: () => TestServer): void => {
  test.each([
    [{ "message-ttl": "0" }, "message-ttl"],
    [{ "message-ttl": "soon" }, "message-ttl"],
    [{ delay: "-1" }, "delay"],
    [{ delay: "367d" }, "delay"],
    [{ "deliver-at": "tomorrow" }, "deliver-at"],
    [{ delay: "1s", "deliver-at": "1000" }, "deliver-at"],
    [{ delay: "1s", "expected-last-sequence": "0" }, "delay"],
    [{ "deliver-at": "1000", "expected-last-sequence": "0" }, "deliver-at"],
  ])("%j is refused", async (headers, parameter) => {
    const subject = uniqueSubject("refused");
    const response = await publish(server(), subject, headers);
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({ code: "invalid_parameter", parameter });
    expect((await read(server(), subject)).last_sequence).toBe(0);
  });
};

/** The group. */
export const defineTiming = (server: () => TestServer): void => {
  describe("time to live and delays", () => {
    defineLife(server);
    defineDelays(server);
    defineRefusals(server);
  });
};
