/**
 * What is special to Tarantool: a server that dies, hangs, is full, damaged, of another version, and the messages that
 * tell a node what others did.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { readFile, truncate } from "node:fs/promises";
import { join } from "node:path";
import { StreamError } from "../../core/errors.ts";
import type { Sequence } from "../../core/message.ts";
import type { Subject } from "../../core/subject.ts";
import { SmallDisk } from "../../testing/faults/small-disk.ts";
import { inDatabase, startTarantool, type TestTarantool } from "../../testing/tarantool.ts";
import {
  configOf,
  entryOf,
  everything,
  invoices,
  orders,
  publish,
  publishOne,
  refusalOf,
  sequenceOf,
  sequencesOf,
  subjectOf,
  upTo,
  worker,
} from "../cases/kit.ts";
import { openTarantoolMetadata, type TarantoolMetadata, type TarantoolMetadataOptions } from "./index.ts";

const dedupeWindowMs = 120_000;

const open = (tarantool: TestTarantool, options: Partial<TarantoolMetadataOptions> = {}) =>
  openTarantoolMetadata({ ...tarantool.address, dedupeWindowMs, ...options });

/** Runs a case with a server and a store of its own. */
const withStore = async (
  body: (store: TarantoolMetadata, tarantool: TestTarantool) => Promise<void>,
  options: Partial<TarantoolMetadataOptions> = {},
): Promise<void> => {
  await using tarantool = await startTarantool();
  const store = await open(tarantool, options);
  try {
    await body(store, tarantool);
  } finally {
    await store.close();
  }
};

const placesOf = async (store: TarantoolMetadata, subject: Subject): Promise<Map<number, Sequence[]>> => {
  const places = new Map<number, Sequence[]>();
  for (const { body, sequence } of (await store.range(subject, 1, everything)).envelopes) {
    places.set(body.offset, [...(places.get(body.offset) ?? []), sequence]);
  }
  return places;
};

describe("tarantool: a server that dies", () => {
  test("every commit happens exactly once, without message ids, across kills", async () => {
    await withStore(
      async (store, tarantool) => {
        const committed = new Map<number, Sequence>();
        let next = 0;
        let isOver = false;
        const publisher = async (): Promise<void> => {
          while (!isOver) {
            const offset = next++;
            const outcome = await publishOne(store, entryOf(orders, { offset }));
            committed.set(offset, sequenceOf(outcome));
          }
        };
        const publishers = upTo(16).map(publisher);
        for (let kill = 0; kill < 4; kill++) {
          // Some commits answered, others under way.
          const wanted = committed.size + 100;
          while (committed.size < wanted) await store.heads([orders]);
          await tarantool.restart("SIGKILL");
        }
        isOver = true;
        await Promise.all(publishers);
        const stored = await placesOf(store, orders);
        expect(stored.size).toBe(committed.size);
        for (const [offset, sequence] of committed) expect([offset, stored.get(offset)]).toEqual([offset, [sequence]]);
        expect(await store.heads([orders])).toEqual([{ firstSequence: 1, lastSequence: committed.size }]);
      },
      { callMsMax: 30_000 },
    );
  });

  test("a lease, an acknowledgement and a deletion are answered as if nothing had happened", async () => {
    await withStore(
      async (store, tarantool) => {
        await publish(store, orders, 200);
        await store.putConsumer(orders, worker, configOf({ ack: "explicit" }));
        const handed: Sequence[] = [];
        let isOver = false;
        const consumer = async (): Promise<void> => {
          while (!isOver) {
            const request = { subject: orders, consumer: worker, limit: 1, bodyBytesMax: 1000 };
            const page = await store.pull({ ...request, autoAck: false, create: false });
            const sequences = sequencesOf(page);
            handed.push(...sequences);
            const [outcome] = await store.ack([{ subject: orders, consumer: worker, sequences }]);
            expect(outcome).toMatchObject({ status: "acked", moved: sequences.length > 0 });
            if (sequences.length === 0) isOver = true;
          }
        };
        const consumers = upTo(4).map(consumer);
        while (handed.length < 50) await store.heads([orders]);
        await tarantool.restart("SIGKILL");
        await Promise.all(consumers);
        // Each was handed out once: no lease was taken by a call whose answer was lost.
        expect(handed.toSorted((a, b) => a - b)).toEqual(upTo(200));
        expect(await store.purge(orders, 200)).toEqual({ deleted: 200 });
      },
      { callMsMax: 30_000 },
    );
  });

  test("what is delayed is committed once, and given up once, by several nodes across kills", async () => {
    await withStore(
      async (store, tarantool) => {
        const options = { callMsMax: 30_000 };
        const nodes = [store, await open(tarantool, options), await open(tarantool, options)];
        const letters = subjectOf("letters.eu");
        const config = { ack: "explicit", ackWaitMs: 1, maxDeliver: 1, deadLetter: letters } as const;
        await store.putConsumer(orders, worker, configOf(config));
        const entries = upTo(300).map((offset) => entryOf(orders, { offset, deliverAt: { inMs: 1 } }));
        expect((await store.commit(entries)).every(({ status }) => status === "scheduled")).toBe(true);
        const lastOf = async (subject: Subject): Promise<Sequence> =>
          (await store.heads([subject]))[0]?.lastSequence ?? 0;
        const working = nodes.map(async (node) => {
          while ((await lastOf(letters)) < 300) {
            await node.commitDue(5);
            await node.pull({
              subject: orders,
              consumer: worker,
              limit: 5,
              bodyBytesMax: 1e9,
              autoAck: false,
              create: false,
            });
          }
        });
        for (const wanted of [50, 150, 250]) {
          while ((await lastOf(letters)) < wanted) await store.heads([orders]);
          await tarantool.restart("SIGKILL");
        }
        await Promise.all(working);
        for (const subject of [orders, letters]) {
          const places = await placesOf(store, subject);
          expect([...places.keys()].toSorted((a, b) => a - b)).toEqual(upTo(300));
          expect([...places.values()].every(({ length }) => length === 1)).toBe(true);
        }
        await Promise.all(nodes.slice(1).map((node) => node.close()));
      },
      { callMsMax: 30_000 },
    );
  });

  test("readiness says what is down, and that it is up again", async () => {
    await withStore(
      async (store, tarantool) => {
        await store.ready();
        await tarantool.kill("SIGKILL");
        const refusal: unknown = await store.ready().catch((error: unknown) => error);
        expect(refusal).toBeInstanceOf(StreamError);
        expect(refusal).toMatchObject({ code: "unavailable" });
        expect(String(refusal)).toContain(`127.0.0.1:${tarantool.port}`);
        expect(await refusalOf(store.range(orders, 1, everything))).toBe("unavailable");
        // Never sent, so nothing was changed.
        expect(await refusalOf(publish(store, orders, 1))).toBe("unavailable");
        await tarantool.start();
        // The next attempt to connect may be a second away, and a call waits for half a second only.
        while ((await refusalOf(store.ready())) !== undefined);
        expect((await publish(store, orders, 1)).map(sequenceOf)).toEqual([1]);
      },
      { callMsMax: 500 },
    );
  });

  test("another store in its place is not ready", async () => {
    await using tarantool = await startTarantool();
    const store = await open(tarantool);
    await using other = await startTarantool();
    await tarantool.kill("SIGKILL");
    await other.kill("SIGTERM");
    await other.start({ MTS_TARANTOOL_LISTEN: `127.0.0.1:${tarantool.port}` });
    expect(await refusalOf(store.ready())).toBe("unavailable");
    await store.close();
  });

  test("what hangs is refused in time, and what was given up is settled before anything else is told", async () => {
    await withStore(
      async (store, tarantool) => {
        await publish(store, orders, 3);
        for (let round = 0; round < 3; round++) {
          const last = (await store.heads([orders]))[0]?.lastSequence ?? 0;
          await tarantool.kill("SIGSTOP");
          const calls = await Promise.allSettled([
            publish(store, orders, 1, { offset: 1000 + round }),
            store.range(orders, 1, everything),
            store.ready(),
          ]);
          const codes = calls.map((call) => (call.status === "rejected" ? (call.reason as StreamError).code : "none"));
          expect(codes).toEqual(["outcome_unknown", "unavailable", "unavailable"]);
          await tarantool.kill("SIGCONT");
          // The commit lay in the server's socket. Whatever is seen first stays so.
          const seen = await placesOf(store, orders);
          expect((await publish(store, invoices, 1)).map(sequenceOf)).toEqual([round + 1]);
          expect(await placesOf(store, orders)).toEqual(seen);
          const times = seen.get(1000 + round)?.length ?? 0;
          expect(times).toBeLessThanOrEqual(1);
          expect(await store.heads([orders])).toEqual([{ firstSequence: 1, lastSequence: last + times }]);
        }
      },
      { callMsMax: 400 },
    );
  });

  test("calls in flight are rejected when the store is closed", async () => {
    await withStore(async (store, tarantool) => {
      await tarantool.kill("SIGSTOP");
      const calls = Promise.all([refusalOf(publish(store, orders, 1)), refusalOf(store.heads([orders]))]);
      await store.close();
      const [write, read] = await calls;
      expect(["outcome_unknown", "unavailable"]).toContain(write ?? "");
      expect(read).toBe("unavailable");
    });
  });

  test("nobody there, a wrong password, an unknown user", async () => {
    await using tarantool = await startTarantool();
    expect(await refusalOf(open(tarantool, { port: 1, callMsMax: 100 }))).toBe("unavailable");
    // At once: with a deadline that nobody would wait for.
    for (const wrong of [{ password: "wrong" }, { user: "nobody" }]) {
      const refusal: unknown = await open(tarantool, { ...wrong, callMsMax: 3_600_000 }).catch(
        (error: unknown) => error,
      );
      expect(refusal).toMatchObject({ code: "unavailable" });
      expect(String(refusal)).toContain("wrong user or password");
    }
  });

  test("answers of many pieces, interleaved with small ones", async () => {
    await withStore(async (store) => {
      const headers = { note: "é".repeat(20_000) };
      await publish(store, orders, 50, { headers });
      const pages = await Promise.all(
        upTo(40).map(async (round) => {
          const [page, heads] = await Promise.all([
            store.range(orders, round % 50, { limit: 1 + (round % 50), bodyBytesMax: 1e9 }),
            store.heads([orders]),
          ]);
          return [page.envelopes.every((each) => each.headers["note"] === headers.note), heads[0]?.lastSequence];
        }),
      );
      expect(pages).toEqual(upTo(40).map(() => [true, 50]));
    });
  });
});

/** Text that does not compress much: 8 KiB. */
const randomText = (): string => Buffer.from(crypto.getRandomValues(new Uint8Array(6144))).toString("base64");

describe("tarantool: no room", () => {
  test.each([
    ["large headers", 30_000, 50],
    ["small rows", 0, 2000],
  ])("a full memory refuses commits, not what makes room, and works again: %s", async (_, noteBytes, batch) => {
    await using tarantool = await startTarantool({ env: { MTS_TARANTOOL_MEMORY: "33MiB" } });
    const store = await open(tarantool);
    await store.putConsumer(orders, worker, configOf({ ack: "explicit" }));
    const options = noteBytes > 0 ? { headers: { note: "x".repeat(noteBytes) } } : {};
    let stored = 0;
    let refused: unknown;
    while (refused === undefined) {
      try {
        stored += (await publish(store, orders, batch, options)).length;
      } catch (error) {
        refused = error;
      }
    }
    expect(refused).toMatchObject({ code: "storage_full" });
    expect(stored).toBeGreaterThan(batch);
    expect(await store.heads([orders])).toEqual([{ firstSequence: 1, lastSequence: stored }]);
    // What needs a little room still finds it.
    const page = await store.pull({ subject: orders, consumer: worker, ...everything, autoAck: false, create: false });
    expect(page.envelopes).toHaveLength(Math.min(stored, 1000));
    const acked = await store.ack([{ subject: orders, consumer: worker, sequences: [2] }]);
    expect(acked).toEqual([{ status: "acked", ackedThrough: 0, moved: true }]);
    expect(await store.purge(orders, stored)).toEqual({ deleted: stored });
    for (;;) {
      const outcomes = await publish(store, orders, batch, options).catch((error: unknown) => error);
      if (Array.isArray(outcomes)) {
        expect(outcomes[0]).toMatchObject({ status: "committed", sequence: stored + 1 });
        break;
      }
      expect(outcomes).toMatchObject({ code: "storage_full" });
    }
    await store.close();
  });

  test("a full disk refuses writes, shows nothing of them, and works again afterwards", async () => {
    await using disk = await SmallDisk.mount(8 * 1024 * 1024);
    await using tarantool = await startTarantool({ dir: disk.path, prefix: disk.prefix });
    const store = await open(tarantool);
    await publish(store, orders, 10);
    await disk.fillUp("ballast");
    let stored = 10;
    let refused: unknown;
    while (refused === undefined) {
      const [outcomes, seen] = await Promise.all([
        publish(store, orders, 10, { headers: { note: randomText() } }).catch((error: unknown) => error),
        store.heads([orders]),
      ]);
      if (Array.isArray(outcomes)) stored += 10;
      else refused = outcomes;
      // A read beside the commit sees all of it or nothing, and nothing of one that fails.
      expect([stored - 10, stored]).toContain(seen[0]?.lastSequence ?? 0);
    }
    expect(refused).toMatchObject({ code: "storage_full" });
    expect(await store.heads([orders])).toEqual([{ firstSequence: 1, lastSequence: stored }]);
    expect(sequencesOf(await store.range(orders, 1, everything))).toEqual(upTo(stored));
    await disk.remove("ballast");
    expect((await publish(store, orders, 2)).map(sequenceOf)).toEqual([stored + 1, stored + 2]);
    await tarantool.restart("SIGKILL");
    expect(await store.heads([orders])).toEqual([{ firstSequence: 1, lastSequence: stored + 2 }]);
    expect(store.warnings).toEqual([]);
    await store.close();
  });
});

describe("tarantool: damage", () => {
  /** Ten messages and five, then the server ends. */
  const prepared = async (): Promise<TestTarantool> => {
    const tarantool = await startTarantool();
    const store = await open(tarantool);
    await publish(store, orders, 10);
    await publish(store, invoices, 5);
    await store.close();
    return tarantool;
  };

  test("a sound store has no warnings, an emptied one neither, after a kill neither", async () => {
    await using tarantool = await prepared();
    const store = await open(tarantool);
    await store.purge(orders, 10);
    await store.purge(invoices, 3);
    await store.close();
    await tarantool.restart("SIGKILL");
    const again = await open(tarantool);
    expect(again.warnings).toEqual([]);
    expect(again.epoch).toBe(store.epoch);
    await again.close();
  });

  test("a log that lost its end is told, and its sequences are those of another epoch", async () => {
    await using tarantool = await prepared();
    const { epoch } = await open(tarantool);
    await tarantool.kill("SIGKILL");
    const log = readdirSync(tarantool.dir)
      .filter((name) => name.endsWith(".xlog"))
      .toSorted()
      .at(-1);
    if (log === undefined) throw new Error("There is no log.");
    const path = join(tarantool.dir, log);
    // One byte less and the last transaction is none.
    await truncate(path, (await readFile(path)).length - 1);
    await tarantool.start();
    const store = await open(tarantool);
    expect(store.warnings).toHaveLength(1);
    expect(store.epoch).not.toBe(epoch);
    expect(await store.heads([orders, invoices])).toEqual([
      { firstSequence: 1, lastSequence: 10 },
      { firstSequence: 1, lastSequence: 0 },
    ]);
    await store.close();
  });

  test("rows that are missing are named, and their sequences are not given out again", async () => {
    await using tarantool = await prepared();
    await tarantool.kill("SIGTERM");
    await inDatabase(
      tarantool.dir,
      `for sequence = 4, 5 do box.space.mts_messages:delete({ 1, sequence }) end
       for sequence = 3, 5 do box.space.mts_messages:delete({ 2, sequence }) end`,
    );
    await tarantool.start();
    const store = await open(tarantool);
    expect(store.warnings).toHaveLength(2);
    expect(store.warnings[0]).toContain(`${orders}: the messages 4 to 5 are missing`);
    expect(store.warnings[1]).toContain(invoices);
    expect((await publish(store, invoices, 1)).map(sequenceOf)).toEqual([6]);
    expect(sequencesOf(await store.range(invoices, 1, everything))).toEqual([1, 2, 6]);
    await store.close();
  });

  test("rows beyond the head are named and never written over", async () => {
    await using tarantool = await prepared();
    await tarantool.kill("SIGTERM");
    await inDatabase(tarantool.dir, "box.space.mts_subjects:update(2, { { '=', 4, 3 } })");
    await tarantool.start();
    const store = await open(tarantool);
    expect(store.warnings).toHaveLength(1);
    expect(await refusalOf(publish(store, invoices, 1))).toBe("unavailable");
    expect((await publish(store, orders, 1)).map(sequenceOf)).toEqual([11]);
    await store.close();
  });

  test("a server with a damaged log does not start", async () => {
    await using tarantool = await prepared();
    await tarantool.kill("SIGKILL");
    const log = join(tarantool.dir, `${"0".repeat(20)}.xlog`);
    const bytes = await readFile(log);
    bytes[bytes.length - 30] = (bytes[bytes.length - 30] ?? 0) ^ 0xff;
    await Bun.write(log, bytes);
    expect(
      await tarantool.start().then(
        () => "started",
        () => "refused",
      ),
    ).toBe("refused");
  });
});

describe("tarantool: versions of the schema", () => {
  test("an older one is upgraded with its data, a newer one is refused", async () => {
    await using tarantool = await startTarantool();
    await tarantool.kill("SIGTERM");
    for (const name of readdirSync(tarantool.dir)) await Bun.file(join(tarantool.dir, name)).delete();
    await inDatabase(
      tarantool.dir,
      `require("mts.schema").upgrade(1)
       local store = require("mts.store")
       store.insert_subject("${orders}", 1, 7, 1000)
       local object = require("mts.objects").refer("old", 1, 7, 7, 1000)
       store.insert_message(1, 1, 1000, object, 7, 0, 7, ("x"):rep(32), { "a", "b" })`,
    );
    await tarantool.start();
    const store = await open(tarantool);
    expect((await store.range(orders, 1, everything)).envelopes).toMatchObject([
      { sequence: 1, timestampMs: 1000, headers: { a: "b" }, body: { object: "old", length: 7 } },
    ]);
    expect((await publish(store, orders, 1)).map(sequenceOf)).toEqual([2]);
    await store.close();
    await tarantool.kill("SIGTERM");
    await inDatabase(tarantool.dir, 'box.space.mts_store:replace({ "schema_version", 99 })');
    expect(
      await tarantool.start().then(
        () => "started",
        () => "refused",
      ),
    ).toBe("refused");
    expect(tarantool.log).toContain("schema version 99");
  });
});

describe("tarantool: the feed of changes", () => {
  const never = 60_000;

  test("tells what other nodes did, in order, and waits when there is nothing", async () => {
    await withStore(async (node, tarantool) => {
      const other = await open(tarantool);
      await publish(node, orders, 2);
      const start = await node.changes.now();
      expect(start).toMatchObject({ lost: false, moved: [], consumers: [], purged: [] });
      // A position taken elsewhere after an answer has reached what was answered.
      expect(node.changes.reached((await other.changes.now()).position, start.position)).toBe(true);
      await publish(other, orders, 3);
      const page = await node.changes.next(start.position, never);
      expect(page).toMatchObject({ lost: false, moved: [{ subject: orders, first: 3, last: 5 }] });
      expect(node.changes.reached(page.position, start.position)).toBe(true);
      expect(node.changes.reached(start.position, page.position)).toBe(false);

      const waiting = node.changes.next(page.position, never);
      await other.commit([entryOf(orders), entryOf(invoices), entryOf(orders)]);
      const woken = await waiting;
      expect(woken.moved).toEqual([
        { subject: orders, first: 6, last: 7 },
        { subject: invoices, first: 1, last: 1 },
      ]);
      expect(await node.changes.next(woken.position, 0)).toMatchObject({ position: woken.position, moved: [] });
      await other.close();
    });
  });

  test("tells of leases that may be free, deletions, and runs without a gap", async () => {
    await withStore(async (store) => {
      await publish(store, orders, 4);
      await store.putConsumer(orders, worker, configOf({ ack: "explicit" }));
      await store.pull({ subject: orders, consumer: worker, ...everything, autoAck: false, create: false });
      const { position } = await store.changes.now();
      await store.ack([{ subject: orders, consumer: worker, sequences: [1] }]);
      await store.nack([{ subject: orders, consumer: worker, sequences: [2], delayMs: 0 }]);
      await store.purge(orders, 3);
      await store.deleteConsumer(orders, worker);
      await publish(store, orders, 2);
      await publish(store, orders, 3);
      const page = await store.changes.next(position, never);
      expect(page.moved).toEqual([{ subject: orders, first: 5, last: 9 }]);
      expect(page.purged).toEqual([{ subject: orders, through: 3 }]);
      const told = { subject: orders, name: worker };
      expect(page.consumers).toEqual([
        { ...told, deleted: false },
        { ...told, deleted: false },
        { ...told, deleted: true },
      ]);
    });
  });

  test("a page's time is not later than what comes after it", async () => {
    await withStore(async (store) => {
      let page = await store.changes.now();
      let isOver = false;
      const publisher = (async () => {
        for (let count = 0; count < 300; count++) await publish(store, orders, 1);
        isOver = true;
      })();
      while (!isOver) {
        const next = await store.changes.next(page.position, 1000);
        for (const { subject, first } of next.moved) {
          const { envelopes } = await store.range(subject, first, { limit: 1, bodyBytesMax: 1 });
          expect(envelopes[0]?.timestampMs).toBeGreaterThanOrEqual(page.nowMs);
        }
        page = next;
      }
      await publisher;
    });
  });

  test("another life of the server is told as lost", async () => {
    await withStore(async (store, tarantool) => {
      await publish(store, orders, 1);
      const { position } = await store.changes.now();
      const waiting = store.changes.next(position, never);
      await tarantool.restart("SIGKILL");
      const page = await waiting;
      expect(page.lost).toBe(true);
      expect(store.changes.reached(page.position, position)).toBe(false);
      await publish(store, orders, 1);
      expect(await store.changes.next(page.position, never)).toMatchObject({
        lost: false,
        moved: [{ subject: orders, first: 2, last: 2 }],
      });
    });
  });

  test("a wait can be given up", async () => {
    await withStore(async (store) => {
      const { position } = await store.changes.now();
      const controller = new AbortController();
      const waiting = store.changes.next(position, never, controller.signal);
      controller.abort();
      expect(await waiting).toMatchObject({ position, lost: false, moved: [] });
      expect(await store.changes.next(position, never, controller.signal)).toMatchObject({ position });
    });
  });
});

test("tarantool: a listing of many subjects", async () => {
  await withStore(async (store) => {
    const subjects = Array.from({ length: 12_000 }, (_, index) => subjectOf(`s.${String(index).padStart(5, "0")}.x`));
    for (let start = 0; start < subjects.length; start += 4000) {
      await store.commit(subjects.slice(start, start + 4000).map((subject) => entryOf(subject)));
    }
    const query = { filter: "s.*.x" as Parameters<TarantoolMetadata["subjects"]>[0]["filter"], limit: 10_000 };
    const page = await store.subjects(query);
    expect([page.subjects.length, page.hasMore]).toEqual([10_000, true]);
    const rest = await store.subjects({ ...query, after: page.subjects.at(-1)?.subject });
    expect([rest.subjects.length, rest.hasMore]).toEqual([2000, false]);
    expect([...page.subjects, ...rest.subjects].map((each) => each.subject)).toEqual(subjects);
  });
});
