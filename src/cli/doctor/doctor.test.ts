/**
 * `doctor` on stores that a real server wrote, healthy and damaged on purpose.
 * @module
 */

import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cp, mkdtemp, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCli } from "../../testing/cli.ts";
import { startTestServer } from "../../testing/server.ts";

let folder = "";
/** What the server left; every test damages a copy. */
let pristine = "";
const largeBytes = 1_500_000;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "mts-doctor-"));
  pristine = join(folder, "pristine");
  await using server = await startTestServer({ dataDir: pristine });
  const send = (method: string, path: string, view: unknown) =>
    fetch(`${server.url}${path}`, {
      method,
      body: JSON.stringify(view),
      headers: { "content-type": "application/json" },
    });
  const messages = [
    ...Array.from({ length: 1200 }, (_, index) => ({ subject: "orders.eu", data: `order ${index + 1}` })),
    ...Array.from({ length: 5 }, (_, index) => ({ subject: "orders.us", data: `order ${index + 1}` })),
    ...Array.from({ length: 3 }, () => ({ subject: "gone", data: "x" })),
    { subject: "empty-body", data: "" },
  ];
  await send("POST", "/v1/messages", { messages });
  await fetch(`${server.url}/v1/subjects/photos/messages`, {
    method: "POST",
    body: new Uint8Array(largeBytes).fill(7),
  });
  await fetch(`${server.url}/v1/subjects/orders.us/messages?through=2`, { method: "DELETE" });
  await fetch(`${server.url}/v1/subjects/gone/messages?through=3`, { method: "DELETE" });
  await send("POST", "/v1/subjects/orders.eu/consumers/mailer/fetch", { limit: 10, auto_ack: true });
  await send("PUT", "/v1/subjects/photos/consumers/ahead", { start: 9000, ack: "explicit" });
}, 30_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

let copies = 0;

const copy = async (): Promise<string> => {
  const path = join(folder, `copy-${copies++}`);
  await cp(pristine, path, { recursive: true });
  return path;
};

const doctor = (dataDir: string, ...words: readonly string[]) => runCli(["doctor", "--data-dir", dataDir, ...words]);

/** Changes rows behind the server's back. */
const change = (dataDir: string, sql: string): void => {
  using database = new Database(join(dataDir, "metadata.sqlite"));
  database.run(sql);
};

const row = (dataDir: string, sql: string): Readonly<Record<string, unknown>> => {
  using database = new Database(join(dataDir, "metadata.sqlite"));
  return database.query<Record<string, unknown>, []>(sql).get() ?? {};
};

interface Place {
  readonly path: string;
  readonly offset: number;
}

const placeOf = (dataDir: string, subject: string, sequence: number): Place => {
  const { name, offset } = row(
    dataDir,
    `SELECT o.name, m.body_offset AS offset FROM messages m JOIN objects o ON o.id = m.object_id
     JOIN subjects s ON s.id = m.subject_id WHERE s.name = '${subject}' AND m.sequence = ${sequence}`,
  );
  return { path: join(dataDir, "bodies", String(name)), offset: Number(offset) };
};

const flip = async ({ path, offset }: Place): Promise<void> => {
  const bytes = await Bun.file(path).bytes();
  bytes[offset] = (bytes[offset] ?? 0) ^ 1;
  await Bun.write(path, bytes);
};

interface Verdict {
  readonly healthy: boolean;
  readonly problems: number;
  readonly problem_list: readonly { readonly code: string; readonly subject?: string; readonly sequence?: number }[];
}

const isOfSubject = ({ subject }: Verdict["problem_list"][number]): boolean => subject !== undefined;

/** Exit code and problems of a damaged store. */
const verdict = async (dataDir: string) => {
  const { code, stdout } = await doctor(dataDir, "--json");
  const { healthy, problems, problem_list: list } = JSON.parse(stdout) as Verdict;
  expect({ code, healthy }).toEqual({ code: 1, healthy: false });
  expect(problems).toBe(list.length);
  return list;
};

test("a healthy store", async () => {
  const bytes = Number(row(pristine, "SELECT sum(body_bytes - purged_bytes) AS bytes FROM subjects")["bytes"]);
  const { code, stdout, stderr } = await doctor(pristine);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toBe(
    `note: photos: consumer ahead waits for 9000, the last message is 1\n5 subjects, 1205 messages, ${bytes} bytes checked, 0 problems\n`,
  );
  // Looking twice finds the same.
  expect(JSON.parse((await doctor(pristine, "--json")).stdout)).toMatchObject({
    healthy: true,
    subjects: 5,
    messages: 1205,
    consumers: 2,
    problem_list: [],
  });
});

test("an object that no message points into is told, and is no problem", async () => {
  const dataDir = await copy();
  await Bun.write(join(dataDir, "bodies", "o", "zzzz", "zz", "zzzzzzzzzzz"), "12345");
  const { code, stdout } = await doctor(dataDir);
  expect(code).toBe(0);
  expect(stdout).toContain("note: 1 object of the body store (5 bytes) belongs to no message\n");
});

test("the settings of the server say where the stores are", async () => {
  const { code } = await runCli(["doctor"], { env: { MTS_DATA_DIR: pristine } });
  expect(code).toBe(0);
  expect((await runCli(["doctor"], { env: { MTS_DATADIR: pristine } })).code).toBe(2);
});

describe("what cannot be looked at", () => {
  test("a store whose server runs: its process, and how to stop it", async () => {
    await using server = await startTestServer();
    const { code, stdout, stderr } = await doctor(server.dataDir);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(`(process ${server.pid}): stop it first`);
  });

  test("a folder that is not there is not made", async () => {
    const nowhere = join(folder, "nowhere");
    const { code, stderr } = await doctor(nowhere);
    expect(code).toBe(1);
    expect(stderr).toBe(`minitoolstream: there is no data folder ${nowhere}; name it with --data-dir\n`);
    expect((await doctor(folder)).stderr).toContain("no server has stored anything there");
    expect(await Bun.file(join(folder, "lock")).exists()).toBe(false);
  });

  test("metadata that is no database is a problem of the stores", async () => {
    const dataDir = await copy();
    await Bun.write(join(dataDir, "metadata.sqlite"), "not a database, but long enough to look like one".repeat(50));
    expect(await verdict(dataDir)).toMatchObject([{ code: "store_unreadable" }]);
  });
});

describe("damage is named", () => {
  test("a flipped byte of one body among many", async () => {
    const dataDir = await copy();
    await flip(placeOf(dataDir, "orders.eu", 700));
    expect(await verdict(dataDir)).toMatchObject([{ code: "body_damaged", subject: "orders.eu", sequence: 700 }]);
    const { code, stdout } = await doctor(dataDir);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^body_damaged: orders\.eu 700: /m);
    expect(stdout).toMatch(/5 subjects, 1205 messages, \d+ bytes checked, 1 problem\n$/);
  });

  test("a flipped byte of a large body", async () => {
    const dataDir = await copy();
    const { path, offset } = placeOf(dataDir, "photos", 1);
    await flip({ path, offset: offset + largeBytes - 1 });
    expect(await verdict(dataDir)).toMatchObject([{ code: "body_damaged", subject: "photos", sequence: 1 }]);
  });

  test("a flipped byte of a delayed message", async () => {
    const dataDir = await copy();
    await using server = await startTestServer({ dataDir });
    const scheduled = await fetch(`${server.url}/v1/subjects/later/messages`, {
      ...{ method: "POST", body: "in a while", headers: { delay: "1h" } },
    });
    expect(scheduled.status).toBe(202);
    await server.stop();
    expect(JSON.parse((await doctor(dataDir, "--json")).stdout)).toMatchObject({ healthy: true, delayed: 1 });
    const { name, offset } = row(
      dataDir,
      "SELECT o.name, d.body_offset AS offset FROM delayed d JOIN objects o ON o.id = d.object_id",
    );
    await flip({ path: join(dataDir, "bodies", String(name)), offset: Number(offset) });
    expect(await verdict(dataDir)).toMatchObject([{ code: "body_damaged", subject: "later" }]);
  });

  test("a body file that was cut off", async () => {
    const dataDir = await copy();
    const { path, offset } = placeOf(dataDir, "orders.us", 5);
    await truncate(path, offset);
    const list = await verdict(dataDir);
    expect(list.filter(({ subject, sequence }) => subject === "orders.us" && sequence === 5)).toHaveLength(1);
    expect(list.every(({ code }) => code === "body_damaged")).toBe(true);
  });

  test("a body file that is gone: the total counts all, the list is capped", async () => {
    const dataDir = await copy();
    await rm(placeOf(dataDir, "orders.eu", 1).path);
    const { code, stdout } = await doctor(dataDir);
    expect(code).toBe(1);
    const lines = stdout.trimEnd().split("\n");
    expect(lines.filter((line) => line.startsWith("body_damaged: ")).length).toBe(100);
    expect(lines.at(-2)).toMatch(/^\.\.\. and \d+ problems more$/);
    expect(lines.at(-1)).toMatch(/ \d{4} problems$/);
  });

  test("rows missing in the middle", async () => {
    const dataDir = await copy();
    change(dataDir, "DELETE FROM messages WHERE sequence BETWEEN 500 AND 509");
    const list = await verdict(dataDir);
    expect(list.filter(isOfSubject)).toMatchObject([{ code: "message_missing", subject: "orders.eu", sequence: 500 }]);
    // The object counts them still.
    expect(list.some(({ code }) => code === "books_wrong")).toBe(true);
    expect((await doctor(dataDir)).stdout).toContain("orders.eu 500: to 509 have no rows");
  });

  test("the newest row missing, and a row beyond the head", async () => {
    const dataDir = await copy();
    change(dataDir, "DELETE FROM messages WHERE sequence = 1200");
    change(dataDir, "UPDATE subjects SET last_sequence = 4 WHERE name = 'orders.us'");
    const list = await verdict(dataDir);
    expect(list.filter(isOfSubject)).toMatchObject([
      { code: "message_missing", subject: "orders.eu", sequence: 1200 },
      { code: "message_beyond_head", subject: "orders.us", sequence: 5 },
    ]);
  });

  test("times that go back", async () => {
    const dataDir = await copy();
    change(dataDir, "UPDATE messages SET timestamp = 1 WHERE sequence = 900");
    expect(await verdict(dataDir)).toMatchObject([
      { code: "timestamp_decreases", subject: "orders.eu", sequence: 900 },
    ]);
  });

  test("sums that are wrong", async () => {
    const dataDir = await copy();
    change(dataDir, "UPDATE subjects SET body_bytes = body_bytes + 1 WHERE name = 'orders.eu'");
    expect(await verdict(dataDir)).toMatchObject([{ code: "sum_wrong", subject: "orders.eu" }]);
  });

  test.each([
    ["messages of an object", "UPDATE objects SET messages = messages + 1 WHERE id = (SELECT min(id) FROM objects)", 1],
    ["bytes in use", "UPDATE objects SET alive_bytes = alive_bytes - 1", 2],
    ["where messages of an object are", "DELETE FROM spans", 3],
    ["what is gone from the middle", "UPDATE subjects SET gone_messages = 1 WHERE name = 'gone'", 2],
  ])("books that are wrong: %s", async (_, sql, count) => {
    const dataDir = await copy();
    change(dataDir, sql);
    const list = await verdict(dataDir);
    expect(list.filter(({ code }) => code === "books_wrong")).toHaveLength(count);
  });

  test("a consumer beyond the end", async () => {
    const dataDir = await copy();
    change(dataDir, "UPDATE consumers SET acked_through = 5000 WHERE name = 'mailer'");
    expect(await verdict(dataDir)).toMatchObject([
      { code: "consumer_position", subject: "orders.eu", consumer: "mailer" },
    ]);
  });
});
