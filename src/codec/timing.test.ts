/**
 * Times of a publish: as fields, as headers, and what is refused.
 * @module
 */
import { expect, test } from "bun:test";
import { StreamError } from "../core/errors.ts";
import { delayMsMax } from "../core/limits.ts";
import { parseDraft } from "./draft.ts";
import { parseTimingHeaders } from "./timing.ts";

const faultOf = (parse: () => unknown): unknown => {
  try {
    parse();
  } catch (error) {
    if (error instanceof StreamError) return [error.code, error.fields["parameter"]];
    throw error;
  }
  return "accepted";
};

const draft = (fields: object) => parseDraft({ subject: "s", data: "", ...fields }, { bodyBytesMax: 16 });

const headers = (
  values: { readonly ttl?: string; readonly delay?: string; readonly deliverAt?: string },
  expected = false,
) => parseTimingHeaders({ ttl: values.ttl, delay: values.delay, deliverAt: values.deliverAt, expected });

test("fields", () => {
  expect(draft({ ttl_ms: 5 })).toMatchObject({ ttlMs: 5 });
  expect(draft({ delay_ms: 0 })).toMatchObject({ deliverAt: { inMs: 0 } });
  expect(draft({ deliver_at: 17, ttl_ms: 1 })).toMatchObject({ ttlMs: 1, deliverAt: { atMs: 17 } });
  expect(draft({ deliver_at: "2026-01-01T00:00:00.5Z" })).toMatchObject({ deliverAt: { atMs: 1_767_225_600_500 } });
  expect(draft({ deliver_at: "1960-01-01T00:00:00Z" })).toMatchObject({ deliverAt: { atMs: 0 } });
  expect("ttlMs" in draft({})).toBe(false);
});

test.each([
  [{ ttl_ms: 0 }, "ttl_ms"],
  [{ ttl_ms: "10m" }, "ttl_ms"],
  [{ ttl_ms: 1.5 }, "ttl_ms"],
  [{ ttl_ms: null }, "ttl_ms"],
  [{ ttl_ms: 1e15 }, "ttl_ms"],
  [{ delay_ms: -1 }, "delay_ms"],
  [{ delay_ms: delayMsMax + 1 }, "delay_ms"],
  [{ delay_ms: null }, "delay_ms"],
  [{ deliver_at: "tomorrow" }, "deliver_at"],
  [{ deliver_at: null }, "deliver_at"],
  [{ deliver_at: Number.MAX_SAFE_INTEGER }, "deliver_at"],
  [{ deliver_at: 5, delay_ms: 5 }, "deliver_at"],
  [{ delay_ms: 5, expected_last_sequence: 0 }, "delay_ms"],
  [{ deliver_at: 5, expected_last_sequence: 0 }, "deliver_at"],
])("fields %j are refused", (fields, parameter) => {
  expect(faultOf(() => draft(fields))).toEqual(["invalid_parameter", parameter]);
});

test("headers", () => {
  expect(headers({})).toEqual({});
  expect(headers({ ttl: "10m" })).toEqual({ ttlMs: 600_000, deliverAt: undefined });
  expect(headers({ ttl: "90" }, true)).toEqual({ ttlMs: 90_000, deliverAt: undefined });
  expect(headers({ delay: "250ms" })).toEqual({ ttlMs: undefined, deliverAt: { inMs: 250 } });
  expect(headers({ deliverAt: "1767225600000" })).toEqual({ ttlMs: undefined, deliverAt: { atMs: 1_767_225_600_000 } });
});

test.each([
  [{ ttl: "" }, "message-ttl"],
  [{ ttl: "0" }, "message-ttl"],
  [{ ttl: "soon" }, "message-ttl"],
  [{ ttl: "-5" }, "message-ttl"],
  [{ ttl: "1.5s" }, "message-ttl"],
  [{ delay: "" }, "delay"],
  [{ delay: "367d" }, "delay"],
  [{ deliverAt: "" }, "deliver-at"],
  [{ deliverAt: "10m" }, "deliver-at"],
  [{ deliverAt: "2026-02-31T00:00:00Z" }, "deliver-at"],
  [{ deliverAt: "9999-01-01T00:00:00Z" }, "deliver-at"],
  [{ delay: "1s", deliverAt: "1" }, "deliver-at"],
])("headers %j are refused", (values, parameter) => {
  expect(faultOf(() => headers(values))).toEqual(["invalid_parameter", parameter]);
});

test("a delay does not go with an expected last sequence", () => {
  expect(faultOf(() => headers({ delay: "0" }, true))).toEqual(["invalid_parameter", "delay"]);
  expect(faultOf(() => headers({ deliverAt: "0" }, true))).toEqual(["invalid_parameter", "deliver-at"]);
});
