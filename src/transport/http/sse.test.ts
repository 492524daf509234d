import { expect, test } from "bun:test";
import { formatEvent, keepAliveComment } from "./sse.ts";

test("an event has its name, its id and one line of data", () => {
  expect(formatEvent({ event: "open", id: 7, data: { text: "a\nb\r\u2028c" } })).toBe(
    'event: open\nid: 7\ndata: {"text":"a\\nb\\r\u2028c"}\n\n',
  );
  expect(formatEvent({ data: 1 })).toBe("data: 1\n\n");
});

test("a comment is no event", () => {
  expect(keepAliveComment).toStartWith(":");
  expect(keepAliveComment).toEndWith("\n\n");
});
