/**
 * What the store counts of objects, against the rows that it counts, after much of everything.
 * @module
 */
import { Database } from "bun:sqlite";
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { keepEverything } from "../../core/policy.ts";
import type { Subject } from "../../core/subject.ts";
import { configOf, digestOf, everything, filterOf, nameOf, subjectOf, upTo } from "../cases/kit.ts";
import type { CommitEntry } from "../contract.ts";
import { openSqliteMetadata } from "./index.ts";
import type { SqliteMetadata } from "./store.ts";

const folder = mkdtempSync(join(tmpdir(), "mts-accounting-"));
afterAll(() => rmSync(folder, { recursive: true }));

const letters = subjectOf("dead.letters");
const subjects = upTo(4).map((n) => subjectOf(`orders.${n}`));
const worker = nameOf("worker");

/** Numbers in [0, max), the same for the same seed. */
const randomOf = (seed: number): ((max: number) => number) => {
  let state = seed;
  return (max) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * max);
  };
};

interface Mismatch {
  readonly name: string;
}

/** Objects whose counts are not those of the rows, and messages that no span leads to. */
const mismatches = (path: string): readonly unknown[] => {
  const db = new Database(path, { readonly: true });
  try {
    const counts = db.query<Mismatch, []>(
      `WITH rows AS (
         SELECT object_id, coalesce(stored_length, body_length) AS bytes FROM messages
         UNION ALL SELECT object_id, coalesce(stored_length, body_length) FROM delayed)
       SELECT o.*, (SELECT count(*) FROM rows WHERE object_id = o.id) AS counted,
         (SELECT coalesce(sum(bytes), 0) FROM rows WHERE object_id = o.id) AS summed
       FROM objects o WHERE counted <> messages OR summed <> alive_bytes OR messages = 0
         OR EXISTS (SELECT 1 FROM dead_objects d WHERE d.name = o.name)`,
    );
    const lost = db.query<Mismatch, []>(
      `SELECT * FROM messages m WHERE object_id <> 0 AND (
         NOT EXISTS (SELECT 1 FROM objects WHERE id = m.object_id) OR NOT EXISTS (
           SELECT 1 FROM spans s WHERE s.object_id = m.object_id AND s.subject_id = m.subject_id
             AND m.sequence BETWEEN s.first_sequence AND s.last_sequence))`,
    );
    const stale = db.query<Mismatch, []>("SELECT * FROM spans WHERE object_id NOT IN (SELECT id FROM objects)");
    return [...counts.all(), ...lost.all(), ...stale.all()];
  } finally {
    db.close();
  }
};

/** One of all the things that change what objects hold. */
const step = async (store: SqliteMetadata, random: (max: number) => number, round: number): Promise<void> => {
  const anySubject = (): Subject => subjects[random(subjects.length)] ?? letters;
  const entryFor = (n: number): CommitEntry => ({
    subject: anySubject(),
    headers: {},
    body: {
      object: random(20) === 0 ? "" : `segment/${round - random(3)}`,
      offset: n * 100,
      length: 100,
      sha256: digestOf(n),
      storedLength: random(2) === 0 ? undefined : 50 + random(50),
    },
    messageId: random(3) === 0 ? `id-${random(1000)}` : undefined,
    ttlMs: random(4) === 0 ? random(500) + 1 : undefined,
    deliverAt: random(4) === 0 ? { inMs: random(300) } : undefined,
  });
  const subject = anySubject();
  switch (random(9)) {
    case 0: {
      const { envelopes } = await store.pull({
        subject,
        consumer: worker,
        ...everything,
        autoAck: false,
        create: false,
      });
      const sequences = envelopes.filter(() => random(2) === 0).map(({ sequence }) => sequence);
      await store.nack([{ subject, consumer: worker, sequences, delayMs: 0 }]);
      break;
    }
    case 1: {
      const { lastSequence = 0 } = (await store.heads([subject]))[0] ?? {};
      await store.purge(subject, random(lastSequence + 1));
      break;
    }
    case 2:
      await store.commitDue(random(50));
      break;
    case 3:
      await store.redrive({ subject, consumer: worker, from: 1, limit: random(20) + 1 });
      break;
    case 4: {
      const request = { aliveShareMax: 0.9, tinyBytes: 300, tinyMin: 2, minAgeMs: 0, objectsMax: 5 };
      const sparse = await store.takeSparse({ ...request, aliveBytesMax: 10_000, leaseMs: random(100) + 1 });
      const bodies = sparse.flatMap((each) => each.bodies).filter(() => random(5) > 0);
      const moves = bodies.map((from, index) => ({
        from,
        to: { ...from, object: `joined/${round}`, offset: index * 100 },
      }));
      await store.moveBodies(moves);
      break;
    }
    case 5:
      await store.expire(undefined, 100);
      break;
    case 6: {
      const { lastSequence = 0 } = (await store.heads([subject]))[0] ?? {};
      if (lastSequence > 0) await store.ack([{ subject, consumer: worker, sequences: [random(lastSequence) + 1] }]);
      break;
    }
    default:
      await store.commit(upTo(random(40) + 1).map(entryFor));
  }
};

describe("sqlite: what objects hold", () => {
  for (const seed of upTo(3)) {
    test(`agrees with the rows after much of everything (${seed})`, async () => {
      const path = join(folder, `${seed}.db`);
      const random = randomOf(seed);
      let nowMs = 1_700_000_000_000;
      const store = await openSqliteMetadata({ path, clock: () => nowMs, dedupeWindowMs: 500 });
      const config = configOf({ ack: "explicit", ackWaitMs: 200, maxDeliver: 2, deadLetter: letters });
      for (const subject of subjects) await store.putConsumer(subject, worker, config);
      await store.putPolicy(filterOf("orders.1"), { ...keepEverything, maxMessages: 50 });
      await store.putPolicy(filterOf("orders.2"), { ...keepEverything, retain: "acked", recipients: [worker] });
      await store.putPolicy(filterOf("dead.>"), { ...keepEverything, maxMessages: 30, discard: "new" });
      for (const round of upTo(400)) {
        await step(store, random, round);
        nowMs += random(50);
        if (round % 50 !== 0) continue;
        await store.reclaimed();
        expect(mismatches(path)).toEqual([]);
      }
      const { lastSequence = 0 } = (await store.heads([letters]))[0] ?? {};
      expect(lastSequence).toBeGreaterThan(0);
      await store.close();
    });
  }
});
