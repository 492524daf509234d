/**
 * `deliver`, `wait` and the reason of a nack, and when a message counts as acknowledged.
 * @module
 */
import { expect, test } from "bun:test";
import { parseSubject } from "../core/subject.ts";
import { acknowledgedView, parseDeliver, parseNackError, parseWaitedFor } from "./deliver.ts";

test("deliver", () => {
  expect([undefined, "body", "decoded", "pointer"].map(parseDeliver)).toEqual(["body", "body", "decoded", "pointer"]);
  for (const raw of ["", "Body", null, 1]) expect(() => parseDeliver(raw)).toThrow("deliver must be");
});

test("wait", () => {
  expect([undefined, "acked", "acked:1", "acked:1000000"].map(parseWaitedFor)).toEqual([
    undefined,
    "all",
    1,
    1_000_000,
  ]);
  for (const raw of ["", "acked:", "acked:0", "acked:01", "acked:-1", "acked:1000001", "ACKED", null, 1]) {
    expect(() => parseWaitedFor(raw)).toThrow("wait must be");
  }
});

test("why a nack was sent", () => {
  expect([undefined, "", "ж".repeat(512)].map(parseNackError)).toEqual([undefined, "", "ж".repeat(512)]);
  for (const raw of ["x".repeat(1025), "ж".repeat(513), "\ud800", null, 5]) {
    expect(() => parseNackError(raw)).toThrow("error must be text");
  }
});

test.each([
  ["all", 2, 2, true],
  ["all", 1, 2, false],
  ["all", 0, 0, false],
  [1, 1, 3, true],
  [3, 2, 2, false],
] as const)("waited for %p: %d of %d", (waitedFor, acked, recipientsTotal, acknowledged) => {
  const receipts = { subject: parseSubject("s"), sequence: 1, released: false, recipientsTotal, acked, recipients: [] };
  expect(acknowledgedView(receipts, waitedFor)).toEqual({ acked, recipients_total: recipientsTotal, acknowledged });
});
