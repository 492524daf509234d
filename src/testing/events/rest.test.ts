/**
 * The Event Hub over REST against the real server: what the original document sends, field by field refusals, batches,
 * repeated sends, pages, live events, and that events are messages like any other.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { upTo } from "../expectations.ts";
import { HttpClient } from "../http-client.ts";
import { useTestServer } from "../server.ts";
import { SseStream } from "../sse.ts";

setDefaultTimeout(30_000);

interface Shown {
  readonly id: string;
  readonly user_id: string;
  readonly event_type: string;
  readonly amount: number;
  readonly timestamp: string;
  readonly subject: string;
  readonly sequence: number;
  readonly received_at: string;
}

interface Page {
  readonly events: readonly Shown[];
  readonly next_cursor: string | null;
  readonly has_more: boolean;
}

interface Problem {
  readonly code: string;
  readonly parameter?: string;
  readonly errors?: readonly { readonly field: string; readonly detail: string }[];
}

const good = { user_id: "user123", event_type: "purchase", amount: 150.75, timestamp: "2024-01-15T10:30:00Z" };
const server = useTestServer();

const post = (body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
  fetch(`${server().url}/events`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });

const get = async <T>(path: string, headers: Readonly<Record<string, string>> = {}): Promise<T> => {
  const response = await fetch(`${server().url}${path}`, { headers });
  return (await response.json()) as T;
};

const problemOf = async (response: Response): Promise<Problem & { readonly status: number }> => {
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  return { status: response.status, ...((await response.json()) as Problem) };
};

/** A user of this test alone. */
let users = 0;
const newUser = (): string => `user-${users++}`;

describe("one event", () => {
  test("the command of the original document works as it stands", async () => {
    const document = readFileSync(`${import.meta.dir}/original-commands.md`, "utf8");
    const commands = [...document.matchAll(/^curl -X POST "http:\/\/localhost:8000\/events"[^`]*/gm)].map(
      ([text]) => text,
    );
    expect(commands.length).toBeGreaterThan(0);
    for (const command of commands) {
      const here = command.replace("http://localhost:8000", server().url);
      const child = Bun.spawn(["bash", "-c", here], { stdout: "pipe", stderr: "ignore" });
      const answer = JSON.parse(await child.stdout.text()) as Shown;
      expect(await child.exited).toBe(0);
      expect(answer).toMatchObject(good);
    }
  });

  test("is stored and answered with its id", async () => {
    const response = await post(good);
    const receipt = (await response.json()) as Shown & { readonly duplicate: boolean };
    expect(response.status).toBe(201);
    expect(receipt).toEqual({
      ...good,
      id: `purchase-${receipt.sequence}`,
      subject: "events.purchase",
      sequence: receipt.sequence,
      received_at: receipt.received_at,
      duplicate: false,
    });
    expect(Date.parse(receipt.received_at)).toBeGreaterThan(Date.now() - 60_000);
    const location = response.headers.get("location") ?? "";
    expect(location).toBe(`/events/${receipt.id}`);
    expect({ ...(await get<Shown>(location)), duplicate: false }).toEqual(receipt);
  });

  test("without a content type is JSON", async () => {
    const { url } = server();
    const body = new Blob([JSON.stringify(good)]);
    expect((await fetch(`${url}/events`, { method: "POST", body })).status).toBe(201);
  });

  test.each([
    [{}, ["user_id", "event_type", "amount", "timestamp"]],
    [{ ...good, user_id: "" }, ["user_id"]],
    [{ ...good, event_type: "sale", amount: -1 }, ["event_type", "amount"]],
    [{ ...good, amount: 1.234 }, ["amount"]],
    [{ ...good, amount: "1.5x", timestamp: "2024-02-30T00:00:00Z" }, ["amount", "timestamp"]],
    [{ ...good, user: 1, total: 2 }, ["user", "total"]],
    [{ ...good, idempotency_key: "" }, ["idempotency_key"]],
    ["null", ["event"]],
    ["7", ["event"]],
  ])("%j is refused for %j", async (body, fields) => {
    const problem = await problemOf(await post(body));
    expect([problem.status, problem.code]).toEqual([422, "invalid_event"]);
    expect(problem.errors?.map(({ field }) => field)).toEqual(fields);
    for (const { field, detail } of problem.errors ?? []) expect(detail).toStartWith(field);
  });

  test("is refused when it is no JSON, coded, or of another type", async () => {
    expect(await problemOf(await post("{"))).toMatchObject({ status: 400, code: "malformed_body" });
    expect(await problemOf(await post(good, { "content-encoding": "gzip" }))).toMatchObject({ status: 415 });
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1"]) {
      expect(await problemOf(await post(good, { "content-type": type }))).toMatchObject({
        ...{ status: 415, code: "unsupported_media_type" },
      });
    }
    expect((await post(good, { "content-type": "application/json; charset=utf-8" })).status).toBe(201);
  });

  test("comes from pages of its own origin only", async () => {
    expect(await problemOf(await post(good, { origin: "https://elsewhere.example" }))).toMatchObject({ status: 403 });
  });

  test("that is none is not found", async () => {
    for (const id of ["purchase-999999", "sale-1", "x"]) {
      expect(await problemOf(await fetch(`${server().url}/events/${id}`))).toMatchObject({
        ...{ status: 404, code: "event_not_found" },
      });
    }
  });
});

describe("repeated sends", () => {
  test("are stored once under a key", async () => {
    const key = { "idempotency-key": crypto.randomUUID() };
    const first = await post(good, key);
    const again = await post(good, key);
    const field = await post({ ...good, idempotency_key: key["idempotency-key"] });
    expect([first.status, again.status, field.status]).toEqual([201, 200, 200]);
    const [{ id }, repeated, byField] = (await Promise.all([first, again, field].map((each) => each.json()))) as [
      ...[Shown, Shown, Shown],
    ];
    expect(repeated).toMatchObject({ id, duplicate: true });
    expect(byField).toMatchObject({ id, duplicate: true });
  });

  test("take a key in one place only", async () => {
    const both = await problemOf(await post({ ...good, idempotency_key: "a" }, { "idempotency-key": "b" }));
    expect(both).toMatchObject({ status: 422, code: "invalid_event" });
    expect(await problemOf(await post([good], { "idempotency-key": "b" }))).toMatchObject({
      code: "invalid_message_id",
    });
    expect(await problemOf(await post(good, { "idempotency-key": "x".repeat(129) }))).toMatchObject({
      code: "invalid_message_id",
    });
  });
});

describe("a batch", () => {
  test("stores what is right and names what is wrong", async () => {
    const user_id = newUser();
    const key = crypto.randomUUID();
    const response = await post([
      { ...good, user_id, idempotency_key: key },
      { ...good, user_id: 1, amount: -1 },
      { ...good, user_id, event_type: "refund" },
      { ...good, user_id, idempotency_key: key },
      null,
    ]);
    expect(response.status).toBe(200);
    const { results } = (await response.json()) as { readonly results: readonly (Shown & { error?: Problem })[] };
    expect(results.map(({ error }) => error?.code)).toEqual([
      ...[undefined, "invalid_event", undefined, undefined, "invalid_event"],
    ]);
    expect(results[1]?.error?.errors?.map(({ field }) => field)).toEqual(["events[1].user_id", "events[1].amount"]);
    expect(results[4]?.error?.errors?.map(({ field }) => field)).toEqual(["events[4]"]);
    expect(results[3]).toMatchObject({ id: results[0]?.id, duplicate: true });
    const { events } = await get<Page>(`/events?user_id=${user_id}`);
    expect(events.map(({ event_type }) => event_type).toSorted()).toEqual(["purchase", "refund"]);
  });

  test("in which nothing is right is refused", async () => {
    const problem = await problemOf(await post([{ ...good, amount: -1 }, {}]));
    expect([problem.status, problem.code]).toEqual([422, "invalid_event"]);
    expect(problem.errors?.map(({ field }) => field)).toEqual([
      ...["events[0].amount", "events[1].user_id", "events[1].event_type", "events[1].amount", "events[1].timestamp"],
    ]);
  });

  test("may be empty, and has a limit", async () => {
    expect(await (await post([])).json()).toEqual({ results: [] });
    expect(await problemOf(await post(`[${"0,".repeat(10_000)}0]`))).toMatchObject({ code: "too_many_messages" });
  });
});

describe("pages", () => {
  test("are newest first, filtered, and go on by a cursor", async () => {
    const user = newUser();
    const types = ["purchase", "return", "refund"];
    await post(upTo(9).map((index) => ({ ...good, user_id: user, amount: index, event_type: types[index % 3] })));
    const all: number[] = [];
    for (let cursor: string | null = ""; cursor !== null; ) {
      const more: string = cursor === "" ? "" : `&cursor=${cursor}`;
      const page: Page = await get(`/events?user_id=${user}&limit=4${more}`);
      all.push(...page.events.map(({ amount }) => amount));
      cursor = page.next_cursor;
      expect(page.has_more).toBe(cursor !== null);
    }
    expect(all.toSorted((a, b) => a - b)).toEqual(upTo(9));
    const refunds = await get<Page>(`/events?user_id=${user}&event_type=refund&order=oldest`);
    expect(refunds.events.map(({ amount }) => amount)).toEqual([2, 5, 8]);
    expect(refunds.has_more).toBe(false);
    await post({ ...good, user_id: user, event_type: "refund", amount: 11 });
    const later = await get<Page>(
      `/events?user_id=${user}&event_type=refund&order=oldest&cursor=${refunds.next_cursor ?? ""}`,
    );
    expect(later.events.map(({ amount }) => amount)).toEqual([11]);
    const old = await get<Page>(`/events?user_id=${user}&since=2100-01-01T00:00:00%2B01:00`);
    expect(old).toEqual({ events: [], next_cursor: null, has_more: false });
    expect((await get<Page>(`/events?user_id=${user}&since=1h&limit=1000`)).events).toHaveLength(10);
  });

  test.each([
    ["limit=0", "limit"],
    ["limit=1001", "limit"],
    ["since=soon", "since"],
    ["event_type=sale", "event_type"],
    ["user_id=", "user_id"],
    ["order=best", "order"],
    ["cursor=x", "cursor"],
  ])("%s is refused", async (query, parameter) => {
    const { url } = server();
    for (const accept of ["application/json", "text/event-stream"]) {
      const problem = await problemOf(await fetch(`${url}/events?${query}`, { headers: { accept } }));
      expect(problem).toMatchObject({ status: 422, code: "invalid_parameter", parameter });
    }
  });

  test("come as MessagePack too", async () => {
    const response = await fetch(`${server().url}/events?limit=1`, { headers: { accept: "application/msgpack" } });
    expect(response.headers.get("content-type")).toBe("application/msgpack");
  });
});

describe("live events", () => {
  test("come as they are stored, and go on where a client was", async () => {
    const user = newUser();
    const address = `${server().url}/events?user_id=${user}`;
    const stream = await SseStream.open(address);
    const opened = await stream.nextEvent();
    expect(opened?.event).toBe("open");
    for (const amount of [1, 2]) await post({ ...good, user_id: user, amount });
    const first = await stream.nextEvent();
    const second = await stream.nextEvent();
    expect([first, second].map((event) => (JSON.parse(event?.data ?? "") as Shown).amount)).toEqual([1, 2]);
    stream.close();
    await post({ ...good, user_id: user, event_type: "refund", amount: 3 });
    // Behind the first one, by its id; behind the opening, by the cursor in the address.
    const resumed = await SseStream.open(`${address}&limit=2`, { "last-event-id": first?.id ?? "" });
    expect((await resumed.nextEvent())?.event).toBe("open");
    const rest = [await resumed.nextEvent(), await resumed.nextEvent()];
    expect(rest.map((event) => (JSON.parse(event?.data ?? "") as Shown).amount).toSorted()).toEqual([2, 3]);
    expect(await resumed.nextEvent()).toBeUndefined();
    const whole = await SseStream.open(`${address}&limit=3&cursor=${opened?.id ?? ""}`);
    await whole.nextEvent();
    const amounts: number[] = [];
    for (let event = await whole.nextEvent(); event !== undefined; event = await whole.nextEvent()) {
      amounts.push((JSON.parse(event.data) as Shown).amount);
    }
    expect(amounts.toSorted()).toEqual([1, 2, 3]);
  });

  test("leave nothing behind for HEAD", async () => {
    const response = await fetch(`${server().url}/events`, {
      method: "HEAD",
      headers: { accept: "text/event-stream" },
    });
    expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
  });
});

describe("events and messages", () => {
  test("are the same thing", async () => {
    const client = new HttpClient(server().url);
    const user = newUser();
    await client.publish({
      subject: "events.return",
      body: JSON.stringify({ ...good, event_type: "return", user_id: user }),
    });
    await client.publish({ subject: "events.return", body: "no event" });
    const { events } = await get<Page>(`/events?user_id=${user}`);
    expect(events).toHaveLength(1);
    const response = await post({ ...good, event_type: "return", user_id: user });
    const { sequence } = (await response.json()) as Shown;
    const message = await fetch(`${server().url}/v1/subjects/events.return/messages/${sequence}`);
    expect(message.headers.get("content-type")).toBe("application/json");
    expect(await message.json()).toEqual({ ...good, event_type: "return", user_id: user });
  });

  test("keep their time to live and their deletion", async () => {
    const { url } = server();
    const { id, sequence } = (await (await post({ ...good, event_type: "return" })).json()) as Shown;
    await fetch(`${url}/v1/subjects/events.return/messages?through=${sequence}`, { method: "DELETE" });
    expect(await problemOf(await fetch(`${url}/events/${id}`))).toMatchObject({ status: 410, code: "message_expired" });
  });
});

interface Metrics {
  readonly time_window: string;
  readonly event_count: number;
  readonly total_amount_exact: string;
  readonly late_count: number;
  readonly by_type: readonly { readonly event_type: string; readonly event_count: number }[];
  readonly windows: readonly { readonly start: string; readonly event_type: string; readonly event_count: number }[];
}

describe("metrics", () => {
  test("count the minutes in which events happened", async () => {
    const before = await get<Metrics>("/events/metrics?minutes=10&event_type=refund");
    const timestamp = new Date().toISOString();
    await post(["0.10", "0.20", "1000000.01"].map((amount) => ({ ...good, event_type: "refund", amount, timestamp })));
    let after = before;
    while (after.event_count < before.event_count + 3) {
      await Bun.sleep(20);
      after = await get<Metrics>("/events/metrics?minutes=10&event_type=refund");
    }
    expect(Number(after.total_amount_exact) - Number(before.total_amount_exact)).toBeCloseTo(1_000_000.31, 2);
    expect(after.by_type.map(({ event_type }) => event_type)).toEqual(["refund"]);
    expect(after.windows.at(-1)?.start).toBe(`${timestamp.slice(0, 16)}:00.000Z`);
    const [from, to] = after.time_window.split("/").map((text) => Date.parse(text));
    expect((to ?? 0) - (from ?? 0)).toBe(600_000);
  });

  test.each(["minutes=0", "minutes=10081", "event_type=x"])("%s is refused", async (query) => {
    expect(await problemOf(await fetch(`${server().url}/events/metrics?${query}`))).toMatchObject({ status: 422 });
  });
});

describe("without the metrics actor", () => {
  const plain = useTestServer({ env: { MTS_ACTORS: "none" } });

  test("there are no metrics, and events all the same", async () => {
    const { url } = plain();
    expect(await problemOf(await fetch(`${url}/events/metrics`))).toMatchObject({
      status: 404,
      code: "actor_not_found",
    });
    expect((await fetch(`${url}/events`)).status).toBe(200);
  });
});
