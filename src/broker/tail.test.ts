import { describe, expect, test } from "bun:test";
import type { RecentMessage } from "../../actors/committer.ts";
import { parseSubject } from "../core/subject.ts";
import { TailCache } from "./tail.ts";

const subject = parseSubject("a");
const messageOf = (sequence: number, bytes = 10, of = subject): RecentMessage => ({
  subject: of,
  sequence,
  timestampMs: 0,
  headers: {},
  body: new Uint8Array(bytes),
  sha256: new Uint8Array(32),
  ref: { object: "o", offset: 0, length: bytes, sha256: new Uint8Array(32) },
});
const run = (first: number, last: number, bytes = 10, of = subject): RecentMessage[] =>
  Array.from({ length: last - first + 1 }, (_, i) => messageOf(first + i, bytes, of));
const sequences = (messages: readonly RecentMessage[] | undefined): number[] | undefined =>
  messages?.map((m) => m.sequence);

describe("TailCache", () => {
  test("reads what follows, within limit and bytes, at least one", () => {
    const tails = new TailCache({ bytesMax: 1e6, subjectCountMax: 100 }, () => 0);
    tails.append(subject, 5, run(5, 9));
    expect(sequences(tails.read(subject, 5, 100, 1000))).toEqual([5, 6, 7, 8, 9]);
    expect(sequences(tails.read(subject, 7, 2, 1000))).toEqual([7, 8]);
    expect(sequences(tails.read(subject, 7, 100, 15))).toEqual([7]);
    expect(sequences(tails.read(subject, 7, Number.POSITIVE_INFINITY, 1))).toEqual([7]);
    expect(tails.read(subject, 4, 100, 1000)).toBeUndefined();
    expect(tails.read(subject, 10, 100, 1000)).toBeUndefined();
  });

  test("a gap, and a body that is not in memory, start it anew", () => {
    const tails = new TailCache({ bytesMax: 1e6, subjectCountMax: 100 }, () => 0);
    tails.append(subject, 1, run(1, 3));
    tails.append(subject, 7, run(7, 8));
    expect(tails.read(subject, 3, 9, 999)).toBeUndefined();
    expect(sequences(tails.read(subject, 7, 9, 999))).toEqual([7, 8]);
    tails.append(subject, 9, [messageOf(9), undefined, messageOf(11)]);
    expect(tails.read(subject, 9, 9, 999)).toBeUndefined();
    expect(sequences(tails.read(subject, 11, 9, 999))).toEqual([11]);
  });

  test("stays within its bounds, keeps the books, forgets what was deleted", () => {
    const tails = new TailCache({ bytesMax: 10_000, subjectCountMax: 20 }, () => 0);
    tails.append(subject, 1, run(1, 50));
    expect(sequences(tails.read(subject, 31, 100, 1e6))).toHaveLength(20);
    for (let i = 0; i < 20; i++) {
      const other = parseSubject(`other.${i}`);
      tails.append(other, 1, run(1, 5, 100, other));
      expect(tails.bytes).toBeLessThanOrEqual(10_000);
    }
    expect(tails.read(subject, 50, 1, 1)).toBeUndefined();
    const last = parseSubject("other.19");
    tails.purge(last, 3);
    expect(tails.read(last, 3, 9, 999)).toBeUndefined();
    expect(sequences(tails.read(last, 4, 9, 999))).toEqual([4, 5]);
    tails.purge(last, 100);
    for (let i = 0; i < 20; i++) tails.purge(parseSubject(`other.${i}`), 100);
    expect(tails.bytes).toBe(0);
  });

  test("what has outlived its time is not handed out, and not kept", () => {
    let nowMs = 0;
    const tails = new TailCache({ bytesMax: 1e6, subjectCountMax: 100 }, () => nowMs);
    const lasting = run(1, 5).map((message, index) => (index === 2 ? { ...message, freshUntilMs: 100 } : message));
    tails.append(subject, 1, lasting);
    expect(sequences(tails.read(subject, 1, 9, 999))).toEqual([1, 2, 3, 4, 5]);
    expect(tails.dropStale()).toBe(100);
    const bytes = tails.bytes;
    nowMs = 100;
    expect(sequences(tails.read(subject, 1, 9, 999))).toEqual([1, 2]);
    // The store says what comes there.
    expect(tails.read(subject, 3, 9, 999)).toBeUndefined();
    expect(sequences(tails.read(subject, 4, 9, 999))).toEqual([4, 5]);
    expect(tails.bytes).toBeLessThan(bytes);
    tails.append(subject, 6, run(6, 6));
    expect(sequences(tails.read(subject, 4, 9, 999))).toEqual([4, 5, 6]);
    tails.purge(subject, 100);
    expect(tails.bytes).toBe(0);
    expect(tails.dropStale()).toBe(Number.POSITIVE_INFINITY);
  });
});
