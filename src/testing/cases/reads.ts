/**
 * Reading: every form of `from`, bounds of a page, long polls, visibility, unknown subjects, deletion.
 * @module
 */
import { describe, expect, test } from "bun:test";
import type { Receipt } from "../client.ts";
import { expectError, sequencesOf, someBytes, textsOf, upTo } from "../expectations.ts";
import { uniqueSubject } from "../server.ts";
import type { CaseContext } from "./context.ts";

const MiB = 1024 * 1024;
/** Long enough that only a lost wake-up ever waits for its end. */
const patientMs = 25_000;

const publishMany = async (context: CaseContext, subject: string, count: number): Promise<void> => {
  await context.client().publishBatch(upTo(count).map((index) => ({ subject, body: `${index}` })));
};

const defineFrom = (context: CaseContext): void => {
  const table: readonly (readonly [from: string | number, sequences: number[], next: number])[] = [
    ["first", [1, 2, 3, 4, 5], 6],
    [0, [1, 2, 3, 4, 5], 6],
    [1, [1, 2, 3, 4, 5], 6],
    [4, [4, 5], 6],
    ["4", [4, 5], 6],
    [6, [], 6],
    [9, [], 9],
    ["new", [], 6],
    ["last", [5], 6],
    ["1h", [1, 2, 3, 4, 5], 6],
    ["3600000ms", [1, 2, 3, 4, 5], 6],
    ["60m", [1, 2, 3, 4, 5], 6],
    ["1d", [1, 2, 3, 4, 5], 6],
    ["2w", [1, 2, 3, 4, 5], 6],
    ["1970-01-01T00:00:00Z", [1, 2, 3, 4, 5], 6],
    ["2999-12-31T23:59:59.5+03:00", [], 6],
  ];
  test.each(table.map((row) => [...row] as [string | number, number[], number]))(
    "from %s starts where it says",
    async (from, sequences, next) => {
      const subject = uniqueSubject("from");
      await publishMany(context, subject, 5);
      const page = await context.client().read(subject, { from });
      expect(sequencesOf(page.messages)).toEqual(sequences);
      expect(page).toMatchObject({ firstSequence: 1, lastSequence: 5, nextSequence: next });
    },
  );

  test("without from a read starts at the first", async () => {
    const subject = uniqueSubject("from");
    await publishMany(context, subject, 2);
    expect(sequencesOf((await context.client().read(subject)).messages)).toEqual([1, 2]);
  });

  test("from a time starts with the first message at or after it, in any offset", async () => {
    const subject = uniqueSubject("from");
    const client = context.client();
    const receipts: Receipt[] = [];
    // Publishes until three different milliseconds are there.
    while (new Set(receipts.map((receipt) => receipt.timestampMs)).size < 3) {
      receipts.push(await client.publish({ subject, body: "x" }));
    }
    const middle = receipts.find((receipt) => receipt.timestampMs > (receipts[0]?.timestampMs ?? 0));
    if (middle === undefined) throw new Error("no later message");
    const utc = new Date(middle.timestampMs).toISOString();
    const moscow = new Date(middle.timestampMs + 3 * 3_600_000).toISOString().replace("Z", "+03:00");
    for (const from of [utc, moscow, utc.replace("T", "t").replace("Z", "z")]) {
      expect((await client.read(subject, { from })).messages[0]?.sequence).toBe(middle.sequence);
    }
    const justAfter = utc.replace("Z", "0001Z");
    const later = receipts.find((receipt) => receipt.timestampMs > middle.timestampMs);
    expect((await client.read(subject, { from: justAfter })).messages[0]?.sequence).toBe(later?.sequence);
  });

  const malformed = ["", "latest", "-1", "1.5", "10x", "m10", "2026-02-30T00:00:00Z", "2026-01-01", "9007199254740993"];
  test.each(malformed)("from %p is refused", async (from) => {
    const error = await expectError(context.client().read(uniqueSubject("from"), { from }), "invalid_parameter");
    expect(error.retryable).toBe(false);
  });
};

const defineBounds = (context: CaseContext): void => {
  test("limit bounds a page and next_sequence goes on", async () => {
    const subject = uniqueSubject("limit");
    await publishMany(context, subject, 5);
    const seen: number[] = [];
    let next = 1;
    while (next <= 5) {
      const page = await context.client().read(subject, { from: next, limit: 2 });
      expect(page.messages.length).toBeLessThanOrEqual(2);
      seen.push(...sequencesOf(page.messages));
      expect(page.nextSequence).toBe((seen.at(-1) ?? 0) + 1);
      next = page.nextSequence;
    }
    expect(seen).toEqual(upTo(5));
  });

  test("a page has 100 messages unless limit says otherwise", async () => {
    const subject = uniqueSubject("limit");
    await publishMany(context, subject, 150);
    const page = await context.client().read(subject);
    expect(sequencesOf(page.messages)).toEqual(upTo(100));
    expect(page).toMatchObject({ lastSequence: 150, nextSequence: 101 });
  });

  test("max_bytes bounds the bodies, and one message always comes", async () => {
    const subject = uniqueSubject("bytes");
    await context.client().publishBatch(upTo(5).map(() => ({ subject, body: someBytes(1000) })));
    const read = async (bodyBytesMax: number): Promise<number[]> =>
      sequencesOf((await context.client().read(subject, { bodyBytesMax })).messages);
    expect(await read(2500)).toEqual([1, 2]);
    expect(await read(2000)).toEqual([1, 2]);
    expect(await read(1999)).toEqual([1]);
    expect(await read(1)).toEqual([1]);
  });

  test("a page has at most 8 MiB of bodies, and a short page is not the end", async () => {
    const subject = uniqueSubject("cap");
    for (const index of upTo(3)) await context.client().publish({ subject, body: someBytes(3 * MiB, index) });
    const page = await context.client().read(subject);
    expect(sequencesOf(page.messages)).toEqual([1, 2]);
    expect(page).toMatchObject({ lastSequence: 3, nextSequence: 3 });
    expect(sequencesOf((await context.client().read(subject, { from: 3 })).messages)).toEqual([3]);
  });

  test("values out of bounds are refused", async () => {
    const subject = uniqueSubject("bounds");
    for (const options of [{ limit: 0 }, { limit: 10_001 }, { limit: -1 }, { waitMs: 60_001 }, { waitMs: -1 }]) {
      await expectError(context.client().read(subject, options), "invalid_parameter");
    }
    await context.client().read(subject, { limit: 10_000 });
  });
};

const defineWaiting = (context: CaseContext): void => {
  test("a waiting read is answered by the publish", async () => {
    const subject = uniqueSubject("poll");
    const [reader, publisher] = [context.client(), await context.open()];
    const waiting = reader.read(subject, { from: 1, waitMs: patientMs });
    // One whole round trip gives the read the time to be waiting; the outcome is the same when it is not.
    await publisher.read(subject);
    await publisher.publish({ subject, body: "hello" });
    const page = await waiting;
    expect(textsOf(page.messages)).toEqual(["hello"]);
    expect(page).toMatchObject({ firstSequence: 1, lastSequence: 1, nextSequence: 2 });
  });

  test("a read beyond the end waits for that very sequence", async () => {
    const subject = uniqueSubject("poll");
    await context.client().publish({ subject, body: "1" });
    const publisher = await context.open();
    const waiting = context.client().read(subject, { from: 3, waitMs: patientMs });
    await publisher.publish({ subject, body: "2" });
    await publisher.read(subject);
    await publisher.publish({ subject, body: "3" });
    const page = await waiting;
    expect(sequencesOf(page.messages)).toEqual([3]);
    expect(page.nextSequence).toBe(4);
  });

  test("a read that waits in vain answers an empty page", async () => {
    const subject = uniqueSubject("poll");
    await context.client().publish({ subject, body: "1" });
    const page = await context.client().read(subject, { from: 2, waitMs: 30 });
    expect(page).toMatchObject({ messages: [], firstSequence: 1, lastSequence: 1, nextSequence: 2 });
  });

  test("a read that has something does not wait", async () => {
    const subject = uniqueSubject("poll");
    await context.client().publish({ subject, body: "1" });
    const page = await context.client().read(subject, { from: 1, waitMs: 60_000 });
    expect(sequencesOf(page.messages)).toEqual([1]);
  });

  test("two readers that wait are both answered", async () => {
    const subject = uniqueSubject("poll");
    const others = await Promise.all([context.open(), context.open()]);
    const waiting = others.map((client) => client.read(subject, { from: 1, waitMs: patientMs }));
    await context.client().read(subject);
    await context.client().publish({ subject, body: "both" });
    for (const page of await Promise.all(waiting)) expect(textsOf(page.messages)).toEqual(["both"]);
  });
};

/** The group. */
export const defineReads = (context: CaseContext): void => {
  describe("reading", () => {
    defineFrom(context);
    defineBounds(context);
    defineWaiting(context);

    test("a subject that nobody published to is empty", async () => {
      const subject = uniqueSubject("unknown");
      for (const from of ["first", "new", "last", 1, "1h", "1970-01-01T00:00:00Z"]) {
        const page = await context.client().read(subject, { from });
        expect(page).toMatchObject({ messages: [], firstSequence: 1, lastSequence: 0, nextSequence: 1 });
      }
      await expectError(context.admin().subject(subject), "subject_not_found");
    });

    test("what was acknowledged is seen by every read that starts after the reply", async () => {
      const subject = uniqueSubject("visible");
      const reader = await context.open();
      for (const index of upTo(40)) {
        const { sequence } = await context.client().publish({ subject, body: `${index}` });
        const page = await reader.read(subject, { from: "last" });
        expect({ sequences: sequencesOf(page.messages), last: page.lastSequence }).toEqual({
          sequences: [sequence],
          last: sequence,
        });
      }
    });

    test("every read tells the same epoch", async () => {
      const epochs = await Promise.all(
        upTo(3).map(async () => (await context.client().read(uniqueSubject("epoch"))).epoch),
      );
      expect(new Set(epochs).size).toBe(1);
      expect(epochs[0]).not.toBe("");
    });
  });

  describe("deletion", () => {
    test("what was deleted is gone, and the numbers go on", async () => {
      const subject = uniqueSubject("delete");
      const admin = context.admin();
      await publishMany(context, subject, 5);
      expect(await admin.purge(subject, 2)).toBe(2);
      expect(await admin.purge(subject, 2)).toBe(0);
      for (const from of ["first", 1, 2, 3]) {
        const page = await context.client().read(subject, { from });
        expect(sequencesOf(page.messages)).toEqual([3, 4, 5]);
        expect(page).toMatchObject({ firstSequence: 3, lastSequence: 5, nextSequence: 6 });
      }
      expect(await admin.purge(subject, 1_000_000)).toBe(3);
      expect(await context.client().read(subject)).toMatchObject({
        messages: [],
        firstSequence: 6,
        lastSequence: 5,
        nextSequence: 6,
      });
      expect(await context.client().publish({ subject, body: "6" })).toMatchObject({ sequence: 6 });
      expect(textsOf((await context.client().read(subject)).messages)).toEqual(["6"]);
    });

    test("gone is 410, never there is 404", async () => {
      const subject = uniqueSubject("delete");
      const admin = context.admin();
      await publishMany(context, subject, 3);
      await admin.purge(subject, 2);
      await expectError(admin.message(subject, 1), "message_expired");
      await expectError(admin.message(subject, 2), "message_expired");
      await expectError(admin.message(subject, 4), "message_not_found");
      await admin.purge(subject, 99);
      await expectError(admin.message(subject, 3), "message_expired");
      await expectError(admin.message(subject, 4), "message_not_found");
      await expectError(admin.message(uniqueSubject("delete"), 1), "message_not_found");
    });
  });
};
