/**
 * What a message map may hold, and which code each fault has.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { StreamError } from "../core/errors.ts";
import { parseDraft, parseHeaders, parseMessageId } from "./draft.ts";

const limits = { bodyBytesMax: 16 };

const fault = (parse: () => unknown): Readonly<Record<string, unknown>> => {
  try {
    parse();
  } catch (error) {
    if (error instanceof StreamError) return { code: error.code, ...error.fields };
    throw error;
  }
  return { code: "accepted" };
};

const faultOf = (map: unknown) => fault(() => parseDraft(map, limits));

describe("bodies", () => {
  test.each([
    ["text", { data: "grün" }, [0x67, 0x72, 0xc3, 0xbc, 0x6e]],
    ["empty text", { data: "" }, []],
    ["bytes", { data: new Uint8Array([0, 255]) }, [0, 255]],
    ["base64", { data_base64: "AP8=" }, [0, 255]],
    ["empty base64", { data_base64: "" }, []],
    ["a BOM", { data: "\ufeffa" }, [0xef, 0xbb, 0xbf, 0x61]],
  ])("%s", (_, map, bytes) => {
    const { body } = parseDraft({ subject: "s", ...map }, limits);
    expect([...(body as Uint8Array)]).toEqual(bytes);
  });

  test("bytes are not copied", () => {
    const data = new Uint8Array(3);
    expect(parseDraft({ subject: "s", data }, limits).body).toBe(data);
  });

  test.each(["YQ", "YQ=", "YR==", "Y Q==", "YQ==\n", "YQ= =", "-_8=", "====", "YQ==YQ==", "a", "€===", 5, null])(
    "%p is not base64",
    (data_base64) => {
      expect(faultOf({ subject: "s", data_base64 })).toEqual({ code: "invalid_parameter", parameter: "data_base64" });
    },
  );

  test("neither, both, or something else", () => {
    for (const body of [{}, { data: "a", data_base64: "YQ==" }, { data: 5 }, { data: null }, { data: "\ud800" }]) {
      expect(faultOf({ subject: "s", ...body })).toEqual({ code: "invalid_parameter", parameter: "data" });
    }
  });

  test("the limit counts bytes of the body, in every form", () => {
    const large = { code: "body_too_large", max_body_bytes: 16 };
    for (const bytes of [16, 17]) {
      const wanted = bytes === 16 ? { code: "accepted" } : large;
      expect(faultOf({ subject: "s", data: "a".repeat(bytes) })).toEqual(wanted);
      expect(faultOf({ subject: "s", data: new Uint8Array(bytes) })).toEqual(wanted);
      expect(faultOf({ subject: "s", data_base64: Buffer.alloc(bytes).toString("base64") })).toEqual(wanted);
    }
    expect(faultOf({ subject: "s", data: "ä".repeat(9) })).toEqual(large);
  });
});

describe("the other fields", () => {
  test("all of them", () => {
    const headers = { "content-type": "text/plain", "": "x" };
    expect(faultOf({ subject: "s", data: "", headers })).toEqual({ code: "invalid_header", header: "" });
    expect(
      parseDraft(
        {
          subject: "a.b",
          data: "",
          headers: { k: "v" },
          message_id: "m",
          expected_last_sequence: 0,
          op: "publish",
          id: 1,
        },
        limits,
        new Set(["op", "id"]),
      ),
    ).toEqual({
      subject: "a.b" as never,
      headers: { k: "v" },
      body: Buffer.alloc(0),
      messageId: "m",
      expectedLastSequence: 0,
    });
  });

  test("a field that is not in the contract is named", () => {
    expect(faultOf({ subject: "s", data: "", op: "publish" })).toEqual({ code: "unknown_field", field: "op" });
    expect(faultOf(JSON.parse('{"subject": "s", "data": "", "__proto__": 1}'))).toEqual({
      code: "unknown_field",
      field: "__proto__",
    });
  });

  test.each([
    [{ data: "" }, "invalid_subject"],
    [{ subject: "a b", data: "" }, "invalid_subject"],
    [{ subject: "a.*", data: "" }, "invalid_subject"],
    [{ subject: "s", data: "", message_id: "" }, "invalid_message_id"],
    [{ subject: "s", data: "", message_id: 5 }, "invalid_message_id"],
    [{ subject: "s", data: "", expected_last_sequence: -1 }, "invalid_parameter"],
    [{ subject: "s", data: "", expected_last_sequence: 1.5 }, "invalid_parameter"],
    [{ subject: "s", data: "", expected_last_sequence: 2n ** 60n }, "invalid_parameter"],
    [{ subject: "s", data: "", expected_last_sequence: "1" }, "invalid_parameter"],
    [{ subject: "s", data: "", headers: [] }, "invalid_header"],
    [{ subject: "s", data: "", headers: { a: 1 } }, "invalid_header"],
    ["text", "invalid_parameter"],
    [null, "invalid_parameter"],
    [[], "invalid_parameter"],
  ])("%p is %s", (map, code) => {
    expect(faultOf(map)["code"]).toBe(code);
  });

  test("message ids are counted in bytes", () => {
    expect(parseMessageId("a".repeat(128))).toHaveLength(128);
    expect(parseMessageId("ä".repeat(64))).toHaveLength(64);
    for (const raw of ["a".repeat(129), "ä".repeat(65), "\udc00"]) {
      expect(fault(() => parseMessageId(raw))).toEqual({ code: "invalid_message_id" });
    }
  });

  test("headers are kept as given, within bounds", () => {
    const headers = JSON.parse('{"__proto__": "x", "Mixed-Case": "\\u0000 ä"}') as unknown;
    expect(Object.entries(parseHeaders(headers))).toEqual([
      ["__proto__", "x"],
      ["Mixed-Case", "\u0000 ä"],
    ]);
    const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`h${i}`, ""]));
    expect(Object.keys(parseHeaders(many(1000)))).toHaveLength(1000);
    expect(fault(() => parseHeaders(many(1001)))["code"]).toBe("invalid_header");
    expect(parseHeaders({ a: "x".repeat(65_535) })).toBeDefined();
    expect(fault(() => parseHeaders({ a: "x".repeat(65_536) }))["code"]).toBe("invalid_header");
    expect(fault(() => parseHeaders({ a: "ä".repeat(32_768) }))["code"]).toBe("invalid_header");
    expect(fault(() => parseHeaders({ a: "\ud800" }))).toEqual({ code: "invalid_header", header: "a" });
  });
});
