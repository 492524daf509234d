/**
 * The listing of subjects, a subject's own page, and consumers as resources.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { expectError, upTo } from "../expectations.ts";
import { consumerPath, HttpClient, subjectPath } from "../http-client.ts";
import { type TestServer, uniqueSubject } from "../server.ts";
import { WireMap } from "../wire.ts";
import { expectProblem, request, sendJson } from "./request.ts";

interface Listing {
  readonly rows: readonly WireMap[];
  readonly names: readonly string[];
  readonly hasMore: boolean;
}

const list = async (server: TestServer, query: Record<string, string>): Promise<Listing> => {
  const response = await request(server, "GET", `/v1/subjects?${new URLSearchParams(query).toString()}`);
  expect(response.status).toBe(200);
  const reply = new WireMap(await response.json(), "listing");
  const rows = reply.list("subjects").map((raw) => new WireMap(raw, "subject"));
  for (const row of rows) {
    for (const name of ["last_sequence", "messages", "bytes"]) row.integer(name);
    row.integer("first_sequence", 1);
  }
  return { rows, names: rows.map((row) => row.string("subject")), hasMore: reply.boolean("has_more") };
};

const defineListing = (server: () => TestServer): void => {
  const publish = async (...subjects: string[]): Promise<void> => {
    await new HttpClient(server().url).publishBatch(subjects.map((subject) => ({ subject, body: "12345" })));
  };

  test("filters choose subjects", async () => {
    const head = uniqueSubject("list");
    const under = (tails: readonly string[]): string[] => tails.map((tail) => `${head}.${tail}`);
    await publish(...under(["a", "b", "a.x", "a.y", "b.x", "a.x.1", "ж"]));
    const rows: readonly (readonly [filter: string, tails: string[]])[] = [
      [`${head}.>`, ["a", "a.x", "a.x.1", "a.y", "b", "b.x", "ж"]],
      [`${head}.*`, ["a", "b", "ж"]],
      [`${head}.a.>`, ["a.x", "a.x.1", "a.y"]],
      [`${head}.*.x`, ["a.x", "b.x"]],
      [`${head}.*.x.>`, ["a.x.1"]],
      [`${head}.a`, ["a"]],
      [`${head}.ж`, ["ж"]],
      [`${head}.none`, []],
      [head, []],
    ];
    for (const [filter, tails] of rows) {
      expect([filter, (await list(server(), { filter })).names]).toEqual([filter, under(tails)]);
    }
  });

  test("the order is that of the UTF-8 bytes, and paging follows it", async () => {
    const head = uniqueSubject("order");
    // U+FF21 comes before U+10400 in UTF-8 and after it in UTF-16.
    const tails = ["-", "0", "A", "_", "a", "a-b", "a.b", "a/b", "aa", "я", "\uff21", "\u{10400}", "~"];
    const subjects = tails.map((tail) => `${head}.${tail}`);
    await publish(...subjects.toReversed());
    const expected = subjects.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const filter = `${head}.>`;
    expect((await list(server(), { filter })).names).toEqual(expected);
    const paged: string[] = [];
    for (let after = "", more = true; more; after = paged.at(-1) ?? "") {
      const page = await list(server(), { filter, limit: "4", ...(after === "" ? {} : { after }) });
      paged.push(...page.names);
      more = page.hasMore;
    }
    expect(paged).toEqual(expected);
    expect((await list(server(), { filter, after: expected.at(-1) ?? "" })).names).toEqual([]);
    expect(await list(server(), { filter, limit: String(tails.length) })).toMatchObject({ hasMore: false });
    expect((await list(server(), { filter, after: `${head}.a-` })).names).toEqual(
      expected.filter((subject) => Buffer.compare(Buffer.from(subject), Buffer.from(`${head}.a-`)) > 0),
    );
  });

  test("rows tell what is stored, and a page has 100 of them by default", async () => {
    const head = uniqueSubject("rows");
    await publish(...upTo(101).map((index) => `${head}.${String(index).padStart(3, "0")}`));
    const subject = `${head}.001`;
    await publish(subject, subject);
    await new HttpClient(server().url).purge(subject, 1);
    const page = await list(server(), { filter: `${head}.>` });
    expect([page.names.length, page.hasMore]).toEqual([100, true]);
    expect(page.rows[0]?.fields).toMatchObject({
      subject,
      first_sequence: 2,
      last_sequence: 3,
      messages: 2,
      bytes: 10,
    });
  });

  test("a subject's page tells all of it, also when it was emptied", async () => {
    const subject = uniqueSubject("details");
    const admin = new HttpClient(server().url);
    const first = await admin.publish({ subject, body: "12345" });
    const second = await admin.publish({ subject, body: "6" });
    await admin.fetch(subject, "c");
    const expected = {
      subject,
      first_sequence: 1,
      last_sequence: 2,
      messages: 2,
      bytes: 6,
      created_at: first.timestampMs,
      last_published_at: second.timestampMs,
      consumers: 1,
    };
    const { epoch, ...details } = (await admin.subject(subject)).fields;
    expect(details).toEqual(expected);
    expect(epoch).toBe((await admin.read(subject)).epoch);
    await admin.purge(subject, 2);
    expect((await admin.subject(subject)).fields).toMatchObject({
      first_sequence: 3,
      last_sequence: 2,
      messages: 0,
      bytes: 0,
    });
    expect((await list(server(), { filter: subject })).names).toEqual([subject]);
  });
};

const defineConsumers = (server: () => TestServer): void => {
  test("PUT is 201, then 200, and 409 for another configuration", async () => {
    const subject = uniqueSubject("put");
    const path = consumerPath(subject, "c");
    const explicit = { start: "first", ack: "all", ack_wait_ms: 30_000, max_deliver: 0, max_ack_pending: 1000 };
    const created = await sendJson(server(), "PUT", path, {});
    expect(created.status).toBe(201);
    expect(await created.json()).toMatchObject({ name: "c", subject, ack: "all", acked_through: 0 });
    for (const body of [{}, explicit, { ack: "all" }]) {
      expect((await sendJson(server(), "PUT", path, body)).status).toBe(200);
    }
    const others = [
      { ack: "explicit" },
      { start: "new" },
      { start: 5 },
      { ack_wait_ms: 1 },
      { max_deliver: 1 },
      { max_ack_pending: 1 },
    ];
    for (const body of others) await expectProblem(await sendJson(server(), "PUT", path, body), 409, "consumer_exists");
  });

  test("a consumer made by a fetch has the default configuration", async () => {
    const subject = uniqueSubject("put");
    const admin = new HttpClient(server().url);
    await admin.fetch(subject, "c");
    expect(await admin.putConsumer(subject, "c", {})).toMatchObject({ created: false, ack: "all" });
  });

  test("consumers are listed in byte order with all their fields", async () => {
    const subject = uniqueSubject("consumers");
    const admin = new HttpClient(server().url);
    expect(await admin.consumers(subject)).toEqual([]);
    for (const name of ["b", "a/1", "\u{10400}", "\uff21", "A"])
      await admin.putConsumer(subject, name, { ack: "explicit" });
    const names = (await admin.consumers(subject)).map((consumer) => consumer.name);
    expect(names).toEqual(["A", "a/1", "b", "\uff21", "\u{10400}"]);
    const raw = (await (await request(server(), "GET", consumerPath(subject, "a/1"))).json()) as object;
    expect(Object.keys(raw).sort()).toEqual(
      [
        "name",
        "subject",
        "ack",
        "acked_through",
        "delivered_through",
        "pending",
        "ack_pending",
        "redelivered",
        "created_at",
      ].sort(),
    );
  });

  test("HEAD and DELETE of a consumer", async () => {
    const subject = uniqueSubject("consumers");
    const admin = new HttpClient(server().url);
    await admin.putConsumer(subject, "c", {});
    expect((await request(server(), "HEAD", consumerPath(subject, "c"))).status).toBe(200);
    expect((await request(server(), "HEAD", `${consumerPath(subject, "c")}/peek`)).status).toBe(200);
    expect(await admin.deleteConsumer(subject, "c")).toMatchObject({ name: "c", subject });
    expect((await request(server(), "HEAD", consumerPath(subject, "c"))).status).toBe(404);
    await expectError(admin.deleteConsumer(subject, "c"), "consumer_not_found");
    expect(await admin.putConsumer(subject, "c", {})).toMatchObject({ created: true });
  });

  test("invalid names of consumers are refused in the path", async () => {
    const subject = subjectPath(uniqueSubject("consumers"));
    for (const name of ["a%20b", "%2A", "e%CC%81"]) {
      await expectProblem(await sendJson(server(), "PUT", `${subject}/consumers/${name}`, {}), 422, "invalid_consumer");
    }
  });
};

/** The group. */
export const defineListings = (server: () => TestServer): void => {
  describe("subjects", () => defineListing(server));
  describe("consumers as resources", () => defineConsumers(server));
};
