/**
 * The metadata cases on SQLite, and what is special to it: schema versions, a full disk, damage, and rows that go
 * after a purge.
 * @module
 */
import { Database } from "bun:sqlite";
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { keepEverything } from "../../core/policy.ts";
import { parseFilter } from "../../core/subject.ts";
import { claim, counter, stepOn } from "../cases/actor-kit.ts";
import {
  digestOf,
  entryOf,
  everything,
  invoices,
  nameOf,
  orders,
  publish,
  refusalOf,
  sequenceOf,
  sequencesOf,
  upTo,
} from "../cases/kit.ts";
import { metadataCases } from "../cases.ts";
import { openSqliteMetadata, type SqliteMetadataOptions } from "./index.ts";
import { upgradeSchema } from "./schema.ts";

const worker = nameOf("worker");
const dedupeWindowMs = 120_000;
const startMs = 1_700_000_000_000;
const folder = mkdtempSync(join(tmpdir(), "mts-metadata-"));
let files = 0;

const newPath = (): string => join(folder, `${++files}.db`);
const open = (path: string, options: Partial<SqliteMetadataOptions> = {}) =>
  openSqliteMetadata({ path, clock: () => startMs, dedupeWindowMs, ...options });

/** Looks at, or damages, a closed store's file. */
const inFile = <T>(path: string, work: (db: Database) => T): T => {
  const db = new Database(path);
  try {
    return work(db);
  } finally {
    db.close();
  }
};

const rowsOf = (path: string, table: string): number =>
  inFile(path, (db) => db.query<{ rows: number }, []>(`SELECT count(*) AS rows FROM ${table}`).get()?.rows ?? -1);

afterAll(() => rmSync(folder, { recursive: true }));

metadataCases("sqlite", async () => {
  const path = newPath();
  let nowMs = startMs;
  const again = () => open(path, { clock: () => nowMs });
  let store = await again();
  return {
    get store() {
      return store;
    },
    dedupeWindowMs,
    reopen: async () => {
      await store.close();
      store = await again();
    },
    advance: (ms) => {
      nowMs += ms;
    },
    close: () => store.close(),
  };
});

describe("sqlite: the file", () => {
  test("works in memory", async () => {
    const store = await open(":memory:", { randomId: () => "an-epoch" });
    expect(store.epoch).toBe("an-epoch");
    expect((await publish(store, orders, 3)).map(sequenceOf)).toEqual([1, 2, 3]);
    await store.close();
  });

  test("every store has an epoch of its own, made once", async () => {
    const path = newPath();
    const ids = ["one", "two"];
    const randomId = () => ids.shift() ?? "none";
    const first = await open(path, { randomId });
    await first.close();
    const second = await open(path, { randomId });
    expect([first.epoch, second.epoch, ids]).toEqual(["one", "one", ["two"]]);
    await second.close();
  });

  test("closing leaves one file with everything in it, and can be repeated", async () => {
    const path = newPath();
    const store = await open(path);
    await publish(store, orders, 10);
    await store.close();
    await store.close();
    expect(await Bun.file(`${path}-wal`).exists()).toBe(false);
    expect(rowsOf(path, "messages")).toBe(10);
  });

  test("what was committed is there for a reader of the file at once", async () => {
    const path = newPath();
    const store = await open(path);
    await publish(store, orders, 2);
    expect(rowsOf(path, "messages")).toBe(2);
    await store.close();
  });

  test("records its schema version, and refuses a newer one", async () => {
    const path = newPath();
    await (await open(path)).close();
    const version = inFile(path, (db) => db.query<{ user_version: number }, []>("PRAGMA user_version").get());
    expect(version?.user_version).toBe(5);
    inFile(path, (db) => db.run("PRAGMA user_version = 99"));
    expect(await refusalOf(open(path))).toBe("unavailable");
  });

  /** A file as version 2 of the schema left it: 10 messages in two objects, the first three of them purged. */
  const oldFile = (path: string): void => {
    inFile(path, (db) => {
      upgradeSchema(db, 2);
      db.run("INSERT INTO subjects VALUES (1, 'orders.eu', 4, 10, 100, 30, 1000, 1010)");
      db.run("INSERT INTO objects VALUES (1, 'segment/1', 3), (2, 'segment/2', 7)");
      db.run("INSERT INTO garbage VALUES (1, 3, 1010)");
      for (const n of upTo(10)) {
        const object = n <= 3 ? 1 : 2;
        // In the second object five bodies were before those of this subject.
        const offset = 10 * (n <= 3 ? n - 1 : n + 1);
        db.run("INSERT INTO messages VALUES (1, ?, ?, NULL, ?, ?, 10, ?, ?)", [
          n,
          1000 + n,
          object,
          offset,
          digestOf(n),
          10 * n,
        ]);
      }
    });
  };

  test("takes over what an older version stored, deletions that were under way too", async () => {
    const path = newPath();
    oldFile(path);
    const after = await open(path);
    await after.reclaimed();
    expect(sequencesOf(await after.range(orders, 1, everything))).toEqual([4, 5, 6, 7, 8, 9, 10]);
    expect(await after.takeDead({ limit: 10, minAgeMs: 0, leaseMs: 1 })).toEqual([{ object: "segment/1" }]);
    const policy = { ...keepEverything, maxMessages: 1 };
    expect(await after.putPolicy(parseFilter(">"), policy)).toBe("created");
    expect(await after.expire(undefined, 10)).toEqual({ expired: 6, next: undefined });
    await after.close();
  });

  test("knows what is left in the objects of an older version", async () => {
    const path = newPath();
    oldFile(path);
    const store = await open(path);
    await store.reclaimed();
    const bounds = { tinyBytes: 0, tinyMin: 1, minAgeMs: 0, objectsMax: 10, aliveBytesMax: 1e6, leaseMs: 1 };
    // 70 bytes are left, and the last of them ends at 120.
    expect(await store.takeSparse({ ...bounds, aliveShareMax: 0.58 })).toEqual([]);
    const [sparse] = await store.takeSparse({ ...bounds, aliveShareMax: 0.59 });
    expect(sparse?.object).toBe("segment/2");
    expect(sparse?.bodies.map(({ offset }) => offset)).toEqual([50, 60, 70, 80, 90, 100, 110]);
    const moves = (sparse?.bodies ?? []).map((from) => ({ from, to: { ...from, object: "segment/3" } }));
    expect(await store.moveBodies(moves)).toBe(7);
    expect(await store.referenced(["segment/2", "segment/3"])).toEqual([false, true]);
    await store.close();
  });

  test("refuses another program's database, a file that is none, and a folder that is not there", async () => {
    const other = newPath();
    inFile(other, (db) => db.run("PRAGMA application_id = 7"));
    expect(await refusalOf(open(other))).toBe("unavailable");
    const text = newPath();
    await Bun.write(text, "this is not a database, but long enough to be looked at as one. ".repeat(100));
    expect(await refusalOf(open(text))).toBe("unavailable");
    expect(await refusalOf(open(join(folder, "no", "where.db")))).toBe("unavailable");
  });
});

describe("sqlite: damage", () => {
  const damaged = async (sql: string) => {
    const path = newPath();
    const store = await open(path);
    await publish(store, orders, 10);
    await publish(store, invoices, 5);
    await store.close();
    inFile(path, (db) => db.run(sql));
    return open(path);
  };

  test("a sound store has no warnings, an emptied one neither", async () => {
    const path = newPath();
    const store = await open(path);
    await publish(store, orders, 10);
    await publish(store, invoices, 10);
    await store.purge(orders, 10);
    await store.purge(invoices, 5);
    await store.close();
    const again = await open(path);
    expect(again.warnings).toEqual([]);
    await again.close();
  });

  test("rows missing at the end are told, and their sequences are not given out again", async () => {
    const store = await damaged("DELETE FROM messages WHERE sequence > 7 AND subject_id = 1");
    expect(store.warnings).toHaveLength(1);
    expect(store.warnings[0]).toContain(orders);
    expect(await store.heads([orders])).toEqual([{ firstSequence: 1, lastSequence: 10 }]);
    expect((await publish(store, orders, 1)).map(sequenceOf)).toEqual([11]);
    expect(sequencesOf(await store.range(orders, 1, everything))).toEqual([1, 2, 3, 4, 5, 6, 7, 11]);
    await store.close();
  });

  test("all rows missing, and rows beyond the head", async () => {
    const store = await damaged(`DELETE FROM messages WHERE subject_id = 1;
      UPDATE subjects SET last_sequence = 4 WHERE id = 2`);
    expect(store.warnings).toHaveLength(2);
    // A message that is there is never written over.
    expect(await refusalOf(publish(store, invoices, 1))).toBe("unavailable");
    await store.close();
  });

  test("warnings are bounded", async () => {
    const path = newPath();
    const store = await open(path);
    const subjects = Array.from({ length: 150 }, (_, index) => `s.${index}` as typeof orders);
    await store.commit(subjects.map((subject) => entryOf(subject)));
    await store.close();
    inFile(path, (db) => db.run("DELETE FROM messages"));
    const again = await open(path);
    expect(again.warnings).toHaveLength(101);
    await again.close();
  });
});

describe("sqlite: a full disk", () => {
  test("what has ended and cannot be removed is not shown, and keeps nobody from reading", async () => {
    const path = newPath();
    let nowMs = startMs;
    const store = await open(path, { clock: () => nowMs });
    const mortal = { ...entryOf(orders), ttlMs: 1000 };
    await store.commit([mortal, entryOf(orders), mortal, entryOf(orders)]);
    inFile(path, (db) =>
      db.run("CREATE TRIGGER stuck BEFORE DELETE ON messages BEGIN SELECT RAISE(ABORT, 'stuck'); END"),
    );
    nowMs += 1000;
    const looks = async (): Promise<void> => {
      expect(await store.heads([orders])).toEqual([{ firstSequence: 2, lastSequence: 4 }]);
      expect(sequencesOf(await store.range(orders, 1, everything))).toEqual([2, 4]);
      expect(sequencesOf(await store.range(orders, 1, { ...everything, limit: 2 }))).toEqual([2, 4]);
      expect(sequencesOf(await store.peek(orders, worker, everything))).toEqual([2, 4]);
      expect(await store.subject(orders)).toMatchObject({ messages: 2, firstSequence: 2 });
      const listed = await store.subjects({ filter: parseFilter(">"), limit: 10 });
      expect(listed.subjects).toMatchObject([{ subject: orders, messages: 2 }]);
    };
    await looks();
    expect(await refusalOf(store.purge(orders, 1))).toBe("unavailable");
    inFile(path, (db) => db.run("DROP TRIGGER stuck"));
    await looks();
    await store.close();
    expect(rowsOf(path, "messages")).toBe(2);
  });

  test("refuses with storage_full, changes nothing, and works again when there is room", async () => {
    const store = await open(newPath(), { pagesMax: 100 });
    let stored = 0;
    let refused: unknown;
    while (refused === undefined) {
      try {
        stored += (await publish(store, orders, 100)).length;
      } catch (error) {
        refused = error;
      }
    }
    expect(refused).toMatchObject({ code: "storage_full" });
    expect(await store.heads([orders])).toEqual([{ firstSequence: 1, lastSequence: stored }]);
    expect(sequencesOf(await store.range(orders, 1, everything))).toHaveLength(stored);
    expect(await refusalOf(publish(store, orders, 100))).toBe("storage_full");

    await store.purge(orders, stored);
    await store.reclaimed();
    const [next] = await publish(store, orders, 100);
    expect(next).toMatchObject({ status: "committed", sequence: stored + 1 });
    await store.close();
  });

  test("a batch that fails in its middle leaves nothing behind", async () => {
    const path = newPath();
    const small = await open(path, { pagesMax: 60 });
    await small.commit([entryOf(orders, { messageId: "a" })]);
    const large = Array.from({ length: 5000 }, (_, index) =>
      entryOf(index % 2 === 0 ? orders : invoices, { messageId: `id-${index}`, object: `object/${index}` }),
    );
    expect(await refusalOf(small.commit(large))).toBe("storage_full");
    expect(await small.subject(invoices)).toBeNull();
    await small.close();
    expect([rowsOf(path, "messages"), rowsOf(path, "objects"), rowsOf(path, "message_ids")]).toEqual([1, 1, 1]);

    const roomy = await open(path);
    expect(roomy.warnings).toEqual([]);
    const outcomes = await roomy.commit(large);
    expect(outcomes.every((outcome) => outcome.status === "committed")).toBe(true);
    expect(await roomy.heads([orders, invoices])).toEqual([
      { firstSequence: 1, lastSequence: 2501 },
      { firstSequence: 1, lastSequence: 2500 },
    ]);
    await roomy.close();
  });
});

describe("sqlite: what is cleaned up", () => {
  test("rows of purged messages go, and objects that nothing points into", async () => {
    const path = newPath();
    const store = await open(path);
    for (const object of ["one", "two", "three"]) {
      await publish(store, orders, 4000, { object });
      await publish(store, invoices, 1, { object: object === "one" ? "one" : "" });
    }
    await store.purge(orders, 9000);
    await store.reclaimed();
    expect([rowsOf(path, "messages"), rowsOf(path, "garbage")]).toEqual([3003, 0]);
    // "one" is still used by the other subject.
    const objects = inFile(path, (db) => db.query("SELECT name, messages FROM objects ORDER BY name").all());
    expect(objects).toEqual([
      { name: "one", messages: 1 },
      { name: "three", messages: 3000 },
    ]);
    await store.close();
  });

  test("rows that policies cut go", async () => {
    const path = newPath();
    const store = await open(path);
    await store.putPolicy(parseFilter(">"), { ...keepEverything, maxMessages: 5 });
    for (const count of [1, 1, 1, 500, 1, 1, 20, 1, 1]) await publish(store, orders, count);
    await store.reclaimed();
    expect(sequencesOf(await store.range(orders, 1, everything))).toEqual([523, 524, 525, 526, 527]);
    await store.close();
    expect([rowsOf(path, "messages"), rowsOf(path, "garbage")]).toEqual([5, 0]);
  });

  test("rows of an actor's former generations go, 500 with each of its commits", async () => {
    const path = newPath();
    const store = await open(path);
    const rows = upTo(1100).map((n) => ({ key: `k${n}`, value: digestOf(n) }));
    await claim(store);
    await stepOn(store, { rows });
    await store.actors.reset(counter);
    await claim(store);
    const left: number[] = [];
    for (let each = 0; each < 4; each++) {
      await stepOn(store, { rows: [{ key: "new", value: digestOf(1) }] });
      left.push(rowsOf(path, "actor_rows"));
    }
    expect(left).toEqual([601, 101, 1, 1]);
    await store.close();
  });

  test("an object that was forgotten can come back", async () => {
    const store = await open(newPath());
    await publish(store, orders, 2, { object: "one" });
    await store.purge(orders, 2);
    await store.reclaimed();
    await publish(store, orders, 1, { object: "one" });
    const { envelopes } = await store.range(orders, 1, everything);
    expect(envelopes.map((each) => each.body.object)).toEqual(["one"]);
    await store.close();
  });

  test("removal goes on after a restart", async () => {
    const path = newPath();
    const store = await open(path);
    await publish(store, orders, 20_000);
    const { deleted } = await store.purge(orders, 19_999);
    await store.close();
    expect(deleted).toBe(19_999);
    expect(rowsOf(path, "garbage")).toBe(1);
    const again = await open(path);
    expect(again.warnings).toEqual([]);
    expect(sequencesOf(await again.range(orders, 1, everything))).toEqual([20_000]);
    await again.reclaimed();
    await again.close();
    expect([rowsOf(path, "messages"), rowsOf(path, "garbage")]).toEqual([1, 0]);
  });

  test("old message ids go, bit by bit", async () => {
    const path = newPath();
    let nowMs = startMs;
    const store = await open(path, { clock: () => nowMs });
    const ids = Array.from({ length: 1000 }, (_, index) => `id-${index}`);
    await store.commit(ids.map((messageId) => entryOf(orders, { messageId })));
    nowMs += dedupeWindowMs + 1;
    await publish(store, invoices, 1);
    const left = rowsOf(path, "message_ids");
    expect(left).toBeLessThan(1000);
    expect(left).toBeGreaterThan(0);
    for (let count = 0; count < 10; count++) await publish(store, invoices, 1);
    expect(rowsOf(path, "message_ids")).toBe(0);
    await store.close();
  });

  test("ids from a clock that was far ahead do not stay for good", async () => {
    const path = newPath();
    let nowMs = startMs + 10 * dedupeWindowMs;
    const store = await open(path, { clock: () => nowMs });
    await store.commit([entryOf(orders, { messageId: "a" })]);
    nowMs = startMs;
    expect(await store.commit([entryOf(orders, { messageId: "b" })])).toMatchObject([{ status: "committed" }]);
    expect(rowsOf(path, "message_ids")).toBe(1);
    await store.close();
  });
});
