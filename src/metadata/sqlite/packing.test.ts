/**
 * Commits come out of their buffers as they went in.
 * @module
 */
import { expect, test } from "bun:test";
import { sequenceMax } from "../../core/limits.ts";
import { digestOf, entryOf, invoices, orders } from "../cases/kit.ts";
import type { CommitOutcome } from "../contract.ts";
import { packEntries, packOutcomes, unpackEntries, unpackOutcomes } from "./packing.ts";

test("entries of several subjects and objects, with and without what few have", () => {
  const entries = [
    entryOf(orders, { object: "a", offset: 0, sha256: digestOf(1) }),
    entryOf(orders, { object: "a", offset: sequenceMax, length: 2 ** 40, sha256: digestOf(2) }),
    entryOf(invoices, { object: "b", headers: { "x-one": "ü \ud800", ["__proto__"]: "own" }, sha256: digestOf(3) }),
    entryOf(orders, { object: "", length: 0, messageId: "", sha256: digestOf(4) }),
    entryOf(invoices, { object: "a", expectedLastSequence: 0, sha256: digestOf(5) }),
    entryOf(orders, { object: "b", headers: { a: "" }, messageId: "id", expectedLastSequence: sequenceMax }),
  ];
  expect(unpackEntries(packEntries(entries))).toEqual(entries);
  expect(unpackEntries(packEntries([]))).toEqual([]);
});

test("outcomes of every kind", () => {
  const outcomes: CommitOutcome[] = [
    { status: "committed", sequence: 1, timestampMs: 1_700_000_000_000 },
    { status: "duplicate", sequence: sequenceMax, timestampMs: 0 },
    { status: "wrong_last_sequence", lastSequence: 0 },
  ];
  expect(unpackOutcomes(packOutcomes(outcomes))).toEqual(outcomes);
  expect(unpackOutcomes(packOutcomes([]))).toEqual([]);
});
