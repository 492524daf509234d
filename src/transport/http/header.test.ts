import { describe, expect, test } from "bun:test";
import { addMetaHeaders, decodeHeaderValue, encodeHeaderValue, messageHeaders, storedContentType } from "./header.ts";

/** What Bun makes of UTF-8 bytes in a header. */
const asReceived = (text: string): string => Buffer.from(text, "utf8").toString("latin1");

describe("received headers", () => {
  test("X-Meta-NAME becomes name, Content-Type stays, the rest is left out", () => {
    const received = new Headers({
      "Content-Type": "text/plain; charset=UTF-8",
      "X-Meta-Trace-Id": "1",
      "X-Meta-Town": asReceived("Düsseldorf"),
      "User-Agent": "test",
    });
    expect(messageHeaders(received)).toEqual({
      "content-type": "text/plain; charset=UTF-8",
      "trace-id": "1",
      town: "Düsseldorf",
    });
  });

  test("a name that is special to the language is a name like others", () => {
    expect(Object.entries(messageHeaders(new Headers({ "X-Meta-__proto__": "v" })))).toEqual([["__proto__", "v"]]);
  });

  test.each([
    ["X-Meta-Content-Type", "text/plain"],
    ["X-Meta-", "v"],
    ["X-Meta-Bad", "\xff\xfe"],
  ])("%p: %p is refused", (name, value) => {
    expect(() => messageHeaders(new Headers({ [name]: value }))).toThrow(
      expect.objectContaining({ code: "invalid_header" }),
    );
  });

  test("a byte order mark stays", () => {
    expect(decodeHeaderValue("x", asReceived("\ufeffa"))).toBe("\ufeffa");
  });
});

describe("sent headers", () => {
  test("values are UTF-8 on the wire; control characters cannot be sent", () => {
    expect(encodeHeaderValue("plain")).toBe("plain");
    expect(encodeHeaderValue("привет")).toBe(asReceived("привет"));
    for (const text of ["a\nb", "a\rb", "a\0b", "a\x7fb", "a\tb"]) expect(encodeHeaderValue(text)).toBeUndefined();
  });

  test("only names that are tokens are sent, and all of those that differ in case only", () => {
    const sent = new Headers();
    addMetaHeaders(sent, {
      ok: "1",
      OK: "2",
      "a b": "x",
      "": "x",
      ключ: "x",
      bad: "a\nb",
      "content-type": "text/plain",
    });
    expect([...sent]).toEqual([["x-meta-ok", "1, 2"]]);
  });

  test.each([
    [undefined, "application/octet-stream"],
    ["", "application/octet-stream"],
    ["nonsense", "application/octet-stream"],
    ["text/plain\r\nX-Evil: 1", "application/octet-stream"],
    ["text/plain; charset=koi8-r", "text/plain; charset=koi8-r"],
  ])("the stored content type %p is sent as %p", (stored, sent) => {
    expect(storedContentType(stored === undefined ? {} : { "content-type": stored })).toBe(sent);
  });
});
