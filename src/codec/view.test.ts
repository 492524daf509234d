/**
 * Field names and forms of what leaves the server.
 * @module
 */
import { expect, test } from "bun:test";
import type { Delivery } from "../broker/contract.ts";
import { StreamError } from "../core/errors.ts";
import { parseSubject } from "../core/subject.ts";
import { problemBody } from "./problem.ts";
import { errorView, messageView, outcomeView } from "./view.ts";

const delivery = (body: Uint8Array): Delivery => ({
  subject: parseSubject("s"),
  sequence: 3,
  timestampMs: 5,
  headers: { a: "b" },
  body,
  sha256: new Uint8Array(32).fill(0x0f),
  deliveries: 2,
});

const common = { subject: "s", sequence: 3, timestamp: 5, headers: { a: "b" }, sha256: "0f".repeat(32) };

test.each([
  ["text", [0x67, 0x72, 0xc3, 0xbc], { data: "grü" }],
  ["nothing", [], { data: "" }],
  ["a BOM", [0xef, 0xbb, 0xbf, 0x61], { data: "\ufeffa" }],
  ["a NUL", [0], { data: "\u0000" }],
  ["bytes that are no text", [0xff, 0xfe], { data_base64: "//4=" }],
  ["an overlong form", [0xc0, 0x80], { data_base64: "wIA=" }],
  ["a surrogate", [0xed, 0xa0, 0x80], { data_base64: "7aCA" }],
])("JSON shows %s byte for byte", (_, bytes, shown) => {
  const body = Uint8Array.from(bytes);
  expect(messageView(delivery(body), { binary: false })).toEqual({ ...common, size: body.length, ...shown });
});

test("msgpack shows bytes; deliveries are shown on demand", () => {
  const body = Uint8Array.from([0x61]);
  expect(messageView(delivery(body), { binary: true, deliveries: true })).toEqual({
    ...common,
    size: 1,
    data: body,
    deliveries: 2,
  });
});

test("an error shows its fields but never its cause", () => {
  const error = new StreamError("wrong_last_sequence", "Another.", { last_sequence: 4 }, new Error("secret"));
  const view = { code: "wrong_last_sequence", detail: "Another.", retryable: false, last_sequence: 4 };
  expect(errorView(error)).toEqual(view);
  expect(outcomeView(error)).toEqual({ error: view });
  expect(problemBody(error)).toEqual({
    ...view,
    type: "urn:minitoolstream:error:wrong_last_sequence",
    title: "The last sequence is another one",
    status: 412,
  });
});
