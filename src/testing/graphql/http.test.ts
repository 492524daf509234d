/**
 * GraphQL over HTTP: the audits of graphql-http, the questions of the document, limits, errors, the page.
 * @module
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { serverAudits } from "graphql-http";
import { bearer, useAuthServer } from "../auth/server.ts";
import { useTestServer } from "../server.ts";
import { type Answer, ask, codeOf, eventBody, graphqlUrl, post, publishEvents } from "./rig.ts";

setDefaultTimeout(30_000);

describe("the audits of graphql-http", () => {
  const server = useTestServer();

  for (const audit of serverAudits({ url: () => graphqlUrl(server()) })) {
    test(`${audit.id} ${audit.name}`, async () => {
      expect(await audit.fn()).toMatchObject({ status: "ok" });
    });
  }
});

describe("questions", () => {
  const server = useTestServer();

  test("those of the document", async () => {
    await publishEvents(server(), [
      eventBody(150.75),
      eventBody(0.1, { event_type: "return", user_id: "Зоя" }),
      eventBody(9_999_999_999_999.99, { event_type: "refund", timestamp: "2024-01-15T12:30:00.5+02:00" }),
    ]);
    const { data } = await ask(
      server(),
      "query { lastEvents(limit: 5) { id userId eventType amount timestamp subject sequence cursor receivedAt } }",
    );
    const events = data?.["lastEvents"] as readonly Record<string, unknown>[];
    expect(events).toHaveLength(3);
    expect(events.find(({ id }) => id === "refund-1")).toEqual({
      id: "refund-1",
      userId: "user123",
      eventType: "refund",
      amount: 9_999_999_999_999.99,
      timestamp: "2024-01-15T12:30:00.5+02:00",
      subject: "events.refund",
      sequence: 1,
      cursor: null,
      receivedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    });
    const metrics = await ask(
      server(),
      "query { aggregatedMetrics(minutes: 1) { totalAmount eventCount timeWindow } }",
    );
    expect(metrics.data?.["aggregatedMetrics"]).toEqual({
      totalAmount: 0,
      eventCount: 0,
      timeWindow: expect.stringMatching(/^\S+:00\.000Z\/\S+:00\.000Z$/),
    });
  });

  test("sums are exact, by minute and by type", async () => {
    const timestamp = new Date().toISOString();
    await publishEvents(server(), [
      eventBody(0.1, { timestamp }),
      eventBody(0.2, { timestamp }),
      eventBody(0.7, { timestamp, event_type: "return" }),
    ]);
    const query = `{ aggregatedMetrics(minutes: 10) {
      eventCount totalAmount totalAmountExact
      windows { start eventType eventCount totalAmountExact lateCount }
      byType { eventType totalAmount eventCount }
    } }`;
    // The actor counts behind the publishes.
    const counted = async (): Promise<Answer> => {
      const answer = await ask(server(), query);
      const { eventCount } = answer.data?.["aggregatedMetrics"] as { eventCount: number };
      return eventCount === 3 ? answer : counted();
    };
    const minute = `${timestamp.slice(0, 16)}:00.000Z`;
    expect((await counted()).data?.["aggregatedMetrics"]).toEqual({
      eventCount: 3,
      totalAmount: 1,
      totalAmountExact: "1.00",
      windows: [
        { start: minute, eventType: "purchase", eventCount: 2, totalAmountExact: "0.30", lateCount: 0 },
        { start: minute, eventType: "return", eventCount: 1, totalAmountExact: "0.70", lateCount: 0 },
      ],
      byType: [
        { eventType: "purchase", totalAmount: 0.3, eventCount: 2 },
        { eventType: "return", totalAmount: 0.7, eventCount: 1 },
      ],
    });
    const week = "{ aggregatedMetrics(minutes: 10080) { eventCount } }";
    expect((await ask(server(), week)).data?.["aggregatedMetrics"]).toEqual({ eventCount: 3 });
  });

  test("filters, pages and single events", async () => {
    await publishEvents(server(), [
      eventBody(1, { user_id: "pages" }),
      eventBody(2, { user_id: "pages" }),
      eventBody(3, { user_id: "pages" }),
    ]);
    const query = `query ($cursor: String) {
      events(order: oldest, limit: 2, userId: "pages", eventType: purchase, cursor: $cursor) {
        events { amount }
        nextCursor
        hasMore
      }
    }`;
    const first = (await ask(server(), query)).data?.["events"] as Record<string, unknown>;
    expect(first).toMatchObject({ events: [{ amount: 1 }, { amount: 2 }] });
    const variables = { cursor: first["nextCursor"] };
    expect((await ask(server(), query, { variables })).data?.["events"]).toMatchObject({ events: [{ amount: 3 }] });
    const newest = await ask(server(), `{ lastEvents(limit: 2, userId: "pages") { amount } }`);
    expect(newest.data).toEqual({ lastEvents: [{ amount: 3 }, { amount: 2 }] });
    const one = await ask(server(), `{ event(id: "purchase-1") { id } none: event(id: "purchase-999") { id } }`);
    expect(one).toEqual({ data: { event: { id: "purchase-1" }, none: null } });
  });

  test("GET asks, too, and HEAD has no body", async () => {
    const url = `${graphqlUrl(server())}?query=${encodeURIComponent("query ($n: Int) { lastEvents(limit: $n) { id } }")}`;
    const response = await fetch(`${url}&variables=${encodeURIComponent(`{"n":1}`)}`);
    expect(await response.json()).toMatchObject({ data: { lastEvents: [{}] } });
    const head = await fetch(url, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
  });

  test("what is wrong has a stable code", async () => {
    const codes = async (query: string, variables?: object): Promise<unknown> =>
      codeOf(await ask(server(), query, variables && { variables }));
    expect(await codes("{ lastEvents(limit: 0) { id } }")).toBe("invalid_parameter");
    expect(await codes("{ lastEvents(limit: 1001) { id } }")).toBe("invalid_parameter");
    expect(await codes(`{ lastEvents(cursor: "none") { id } }`)).toBe("invalid_parameter");
    expect(await codes(`{ events(since: "yesterday") { hasMore } }`)).toBe("invalid_parameter");
    expect(await codes("{ aggregatedMetrics(minutes: 0) { eventCount } }")).toBe("invalid_parameter");
    expect(await codes("query ($n: Int) { lastEvents(limit: $n) { id } }", { n: "x" })).toBe("invalid_parameter");
    expect(await codes("{ lastEvents { nothing } }")).toBe("malformed_request");
    expect(await codes("{ lastEvents {")).toBe("malformed_request");
  });

  test("what would cost too much is refused before it is looked up", async () => {
    const aliases = Array.from({ length: 31 }, (_, index) => `a${index}: lastEvents { id }`).join(" ");
    expect(codeOf(await ask(server(), `{ ${aliases} }`))).toBe("query_too_costly");
    const rows = Array.from({ length: 20 }, (_, index) => `a${index}: lastEvents(limit: 1000) { ...E }`).join(" ");
    const fragment = "fragment E on Event { id userId eventType amount timestamp }";
    expect(codeOf(await ask(server(), `{ ${rows} } ${fragment}`))).toBe("query_too_costly");
    const tokens = "__typename ".repeat(2001);
    expect(codeOf(await ask(server(), `{ ${tokens} }`))).toBe("malformed_request");
    const nested = `{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }`;
    expect(codeOf(await ask(server(), nested))).toBe("malformed_request");
  });

  test("tools may look at the schema", async () => {
    const { getIntrospectionQuery } = await import("graphql");
    const { data, errors } = await ask(server(), getIntrospectionQuery());
    expect(errors).toBeUndefined();
    expect(JSON.stringify(data)).toContain("aggregatedMetrics");
  });

  test("a request passes what every request passes", async () => {
    const large = JSON.stringify({ query: "{ __typename }", extensions: { x: "x".repeat(1024 * 1024) } });
    const headers = { "content-type": "application/json" };
    expect((await fetch(graphqlUrl(server()), { method: "POST", headers, body: large })).status).toBe(413);
    expect((await post(server(), "{ __typename }", { headers: { origin: "https://other.example" } })).status).toBe(403);
    expect((await post(server(), "{ __typename }", { headers: { "content-encoding": "gzip" } })).status).toBe(415);
    expect((await fetch(`${graphqlUrl(server())}?query={__typename}&token=x`)).status).toBe(422);
    expect((await fetch(graphqlUrl(server()), { method: "PUT" })).status).toBe(405);
  });
});

describe("the page", () => {
  const auth = useAuthServer();

  test("loads nothing from another host and answers everybody", async () => {
    const response = await fetch(graphqlUrl(auth().server), { headers: { accept: "text/html,*/*" } });
    expect(response.status).toBe(200);
    const html = await response.text();
    expect(html).not.toMatch(/https?:/);
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).not.toMatch(/https?:|\*/);
    const files = [...html.matchAll(/(?:src|href)="(graphql[^"]+)"/g)].map(([, file]) => file ?? "");
    expect(files).toHaveLength(4);
    for (const file of [...files, ...["editor", "json", "graphql"].map((name) => `graphql/assets/${name}-worker.js`)]) {
      const asset = await fetch(`${auth().server.url}/${file}`);
      expect([asset.status, asset.headers.get("x-content-type-options")]).toEqual([200, "nosniff"]);
      expect((await asset.text()).length).toBeGreaterThan(100);
      const etag = asset.headers.get("etag") ?? "";
      expect((await fetch(`${auth().server.url}/${file}`, { headers: { "if-none-match": etag } })).status).toBe(304);
    }
    expect((await fetch(`${auth().server.url}/graphql/assets/other.js`)).status).toBe(404);
  });

  test("but questions need a token, and its rights", async () => {
    const { server, issuer } = auth();
    const admin = bearer(issuer.admin());
    await publishEvents(server, [eventBody(5), eventBody(6, { event_type: "refund" })], admin);
    expect((await post(server, "{ __typename }")).status).toBe(401);
    expect((await post(server, "{ __typename }", { headers: bearer("x.y.z") })).status).toBe(401);
    const some = bearer(issuer.token({ allowed_subjects: ["events.purchase"], permissions: ["fetch"] }));
    const own = await ask(server, "{ lastEvents(eventType: purchase) { amount } }", { headers: some });
    expect(own).toEqual({ data: { lastEvents: [{ amount: 5 }] } });
    const all = await ask(server, "{ lastEvents { amount } }", { headers: some });
    expect([all.data, codeOf(all)]).toEqual([null, "permission_denied"]);
    const every = await ask(server, "{ lastEvents { amount } }", { headers: admin });
    expect(every.data?.["lastEvents"]).toHaveLength(2);
  });
});
