import { describe, expect, test } from "bun:test";
import { batchMessagesMax } from "../../core/limits.ts";
import { parseNdjson, parseStructured } from "./body.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const failing = (code: string): unknown => expect.objectContaining({ code });

describe("NDJSON", () => {
  test("one value a line; empty lines and a missing last line feed do no harm", () => {
    expect(parseNdjson(bytes('{"a":1}\r\n\n 2\n"x"'))).toEqual([{ a: 1 }, 2, "x"]);
    expect(parseNdjson(bytes(""))).toEqual([]);
  });

  test("a line that is not JSON spoils the body and is named", () => {
    expect(() => parseNdjson(bytes("1\n\n{\n2"))).toThrow(
      expect.objectContaining({ code: "malformed_body", fields: { line: 3 } }),
    );
  });

  test("one line too many is too many", () => {
    expect(parseNdjson(bytes("1\n".repeat(batchMessagesMax)))).toHaveLength(batchMessagesMax);
    expect(() => parseNdjson(bytes("1\n".repeat(batchMessagesMax + 1)))).toThrow(failing("too_many_messages"));
  });
});

test.each([[[0xff]], [[0x22, 0xc0, 0xaf, 0x22]], [[0xef, 0xbb, 0xbf, 0x31]], [[]], [[0x7b]]])(
  "%p is no JSON body",
  (raw) => {
    expect(() => parseStructured(new Uint8Array(raw), "json")).toThrow(failing("malformed_body"));
  },
);
