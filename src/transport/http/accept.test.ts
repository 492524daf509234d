import { describe, expect, test } from "bun:test";
import { StreamError } from "../../core/errors.ts";
import { negotiate, type Representation } from "./accept.ts";

const offered = ["json", "msgpack", "ndjson", "events"] as const satisfies Representation[];

describe("negotiate", () => {
  test.each([
    [null, "json"],
    ["", "json"],
    ["*/*", "json"],
    ["application/*", "json"],
    ["application/json; charset=utf-8", "json"],
    ["APPLICATION/MSGPACK", "msgpack"],
    ["application/x-msgpack", "msgpack"],
    ["application/vnd.msgpack", "msgpack"],
    ["application/ndjson", "ndjson"],
    ["text/event-stream", "events"],
    ["text/*", "events"],
    ["text/event-stream, */*;q=0.1", "events"],
    ["text/event-stream, */*", "events"],
    ["application/json;q=0.5, application/msgpack", "msgpack"],
    ["application/json;q=0, */*;q=0.1", "msgpack"],
    ["application/msgpack, application/json", "msgpack"],
    ["image/png, application/x-ndjson;q=0.2", "ndjson"],
    ["text/html, application/xhtml+xml, */*;q=0.8", "json"],
    ["nonsense", "json"],
  ] as const)("%p chooses %p", (accept, form) => {
    expect(negotiate(accept, offered)).toBe(form);
  });

  test.each(["image/png", "text/html;q=1", "application/json;q=0", "*/*;q=0", "application/xml, text/plain"])(
    "%p is not acceptable",
    (accept) => {
      expect(() => negotiate(accept, ["json", "msgpack"])).toThrow(
        expect.objectContaining({
          code: "not_acceptable",
          fields: { available: ["application/json", "application/msgpack"] },
        }),
      );
      expect(() => negotiate(accept, ["json", "msgpack"])).toThrow(StreamError);
    },
  );
});
