/**
 * Events as text: every field, all faults at once, and what is stored read back.
 */
import { describe, expect, test } from "bun:test";
import { StreamError } from "../core/errors.ts";
import { amountCentsMax, eventSubject } from "../core/event.ts";
import { parseSubject } from "../core/subject.ts";
import {
  amountText,
  checkEvent,
  eventBody,
  eventView,
  parseEvent,
  parseEventId,
  readAmount,
  readEvent,
  readTimestamp,
} from "./event.ts";

const good = { user_id: "user123", event_type: "purchase", amount: 150.75, timestamp: "2024-01-15T10:30:00Z" };

const faultsOf = (raw: unknown, prefix?: string): readonly string[] =>
  checkEvent(raw, { prefix }).faults.map(({ field }) => field);

describe("an amount", () => {
  test.each([
    [0, 0],
    [-0, 0],
    [150.75, 15_075],
    [0.01, 1],
    [0.07, 7],
    [0.29, 29],
    [1.1, 110],
    [57 * 0.01, 57],
    [0.1 + 0.2, 30],
    [9_999_999_999_999.99, amountCentsMax],
    ["150.75", 15_075],
    ["150.7", 15_070],
    ["150", 15_000],
    ["0.00", 0],
    ["9999999999999.99", amountCentsMax],
  ])("%p is %p cents", (raw, cents) => {
    expect(readAmount(raw)).toBe(cents);
  });

  test.each([
    [150.755],
    [0.001],
    [1e-300],
    [-0.01],
    [-1],
    [1e13],
    [1e300],
    [NaN],
    [Infinity],
    ["-1"],
    ["1.234"],
    ["1e3"],
    [""],
    ["1."],
    [".5"],
    [" 1"],
    ["12345678901234"],
    ["٣"],
    [null],
    [true],
    [[1]],
  ])("%p is none", (raw) => {
    expect(readAmount(raw)).toBeUndefined();
  });

  test("every cent up to 1,000 and some of the largest come back as they were written", () => {
    const cents = [...Array.from({ length: 100_001 }, (_, index) => index), amountCentsMax, amountCentsMax - 1];
    for (const each of cents) {
      const text = amountText(each);
      expect(readAmount(text)).toBe(each);
      expect(readAmount(JSON.parse(text))).toBe(each);
      expect(readAmount(JSON.parse(String(each / 100)))).toBe(each);
    }
  });

  test("sums are written to the cent", () => {
    expect([5n, 0n, 99n, 100n, 12_345_678_901_234_567_890n, -7n].map(amountText)).toEqual([
      ...["0.05", "0.00", "0.99", "1.00", "123456789012345678.90", "-0.07"],
    ]);
  });
});

describe("a timestamp", () => {
  test.each([
    ["2024-01-15T10:30:00Z", "2024-01-15T10:30:00.000Z"],
    ["2024-01-15T10:30:00", "2024-01-15T10:30:00.000Z"],
    ["2024-01-15 10:30", "2024-01-15T10:30:00.000Z"],
    ["2024-01-15t10:30:00.123456z", "2024-01-15T10:30:00.123Z"],
    ["2024-01-15T10:30:00,9999", "2024-01-15T10:30:00.999Z"],
    ["2024-01-15T10:30:00+03:00", "2024-01-15T07:30:00.000Z"],
    ["2024-01-15T10:30:00-0530", "2024-01-15T16:00:00.000Z"],
    ["2024-01-15T10:30:00+05", "2024-01-15T05:30:00.000Z"],
    ["2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z"],
    ["2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"],
    ["1969-12-31T23:00:00-01:00", "1970-01-01T00:00:00.000Z"],
  ])("%s is %s", (raw, iso) => {
    expect(new Date(readTimestamp(raw) ?? NaN).toISOString()).toBe(iso);
  });

  test.each([
    ["2023-02-29T00:00:00Z"],
    ["1900-02-29T00:00:00Z"],
    ["2024-13-01T00:00:00Z"],
    ["2024-04-31T00:00:00Z"],
    ["2024-01-15T24:00:00Z"],
    ["2024-01-15T10:30:60Z"],
    ["2024-01-15T10:30:00+24:00"],
    ["2024-01-15T10:30:00.Z"],
    ["1969-12-31T23:59:59Z"],
    ["2286-11-20T17:46:40Z"],
    ["2024-01-15"],
    ["20240115T103000Z"],
    ["yesterday"],
    ["0024-01-15T10:30:00Z"],
    [""],
  ])("%p is none", (raw) => {
    expect(readTimestamp(raw)).toBeUndefined();
  });
});

describe("an event", () => {
  test("is read and written", () => {
    const draft = parseEvent(good);
    expect(draft).toEqual({
      ...{ userId: "user123", eventType: "purchase", amountCents: 15_075 },
      ...{ timestamp: "2024-01-15T10:30:00Z", occurredAtMs: Date.UTC(2024, 0, 15, 10, 30) },
    });
    expect(JSON.parse(Buffer.from(eventBody(draft)).toString())).toEqual(good);
  });

  test("tells all that is wrong with it at once", () => {
    const thrown = (() => {
      try {
        return parseEvent({ user_id: "a\nb", event_type: "sale", amount: -1, timestamp: "now", colour: 1, id: 2 });
      } catch (error) {
        return error;
      }
    })();
    if (!(thrown instanceof StreamError)) throw new Error("it was taken");
    expect(thrown.code).toBe("invalid_event");
    const { errors } = thrown.fields;
    if (!Array.isArray(errors)) throw new Error("it names no fields");
    expect(errors.map((fault: { field: string }) => fault.field)).toEqual([
      ...["user_id", "event_type", "amount", "timestamp", "colour", "id"],
    ]);
  });

  test("names what is missing, with its place in a batch", () => {
    expect(faultsOf({}, "events[3].")).toEqual(
      ["user_id", "event_type", "amount", "timestamp"].map((name) => `events[3].${name}`),
    );
    for (const raw of [null, 1, "x", [], undefined]) {
      expect(faultsOf(raw, "events[3].")).toEqual(["events[3]"]);
      expect(faultsOf(raw)).toEqual(["event"]);
    }
  });

  test.each([
    ["x".repeat(255), true],
    ["x".repeat(256), false],
    ["😀".repeat(255), true],
    ["😀".repeat(256), false],
    ["Ольга ł", true],
    ["", false],
    ["a\u0000", false],
    ["a\u0085", false],
    ["\ud800", false],
    [7, false],
  ])("takes the user %p: %p", (user_id, isTaken) => {
    expect(faultsOf({ ...good, user_id })).toEqual(isTaken ? [] : ["user_id"]);
  });

  test("names of its prototype are fields like any other", () => {
    expect(faultsOf(JSON.parse('{"__proto__":1,"constructor":2}'))).toEqual([
      ...["user_id", "event_type", "amount", "timestamp", "__proto__", "constructor"],
    ]);
  });

  test("does not name more fields than anybody wants to read", () => {
    const raw = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`f${index}`, 1]));
    expect(faultsOf(raw).length).toBeLessThanOrEqual(100);
  });
});

describe("a stored message", () => {
  const subject = eventSubject("purchase");
  const read = (body: string | Uint8Array, on = subject) =>
    readEvent({
      subject: on,
      sequence: 7,
      timestampMs: 1000,
      body: typeof body === "string" ? Buffer.from(body) : body,
    });

  test("is an event whoever published it", () => {
    const event = read(`\n ${JSON.stringify({ ...good, amount: "150.75" })} `);
    if (event === undefined) throw new Error("it is none");
    expect(event).toMatchObject({ id: "purchase-7", sequence: 7, receivedAtMs: 1000, amountCents: 15_075 });
    expect(eventView(event)).toEqual({
      ...{ id: "purchase-7", ...good, subject: "events.purchase", sequence: 7 },
      received_at: "1970-01-01T00:00:01.000Z",
    });
  });

  test("is none when its body is something else", () => {
    expect(read("hello")).toBeUndefined();
    expect(read("")).toBeUndefined();
    expect(read(JSON.stringify({ ...good, event_type: "refund" }))).toBeUndefined();
    expect(read(JSON.stringify(good), parseSubject("events.sale"))).toBeUndefined();
    expect(read(JSON.stringify({ ...good, more: 1 }))).toBeUndefined();
    expect(read(`${JSON.stringify(good)}${" ".repeat(70_000)}`)).toBeUndefined();
    expect(
      read(Buffer.concat([Buffer.from(JSON.stringify({ ...good, user_id: "" })), Buffer.of(0xff)])),
    ).toBeUndefined();
  });
});

test.each([
  ["purchase-1", { eventType: "purchase", sequence: 1 }],
  ["refund-9007199254740991", { eventType: "refund", sequence: Number.MAX_SAFE_INTEGER }],
  ["purchase-0", undefined],
  ["purchase-01", undefined],
  ["purchase-9007199254740992", undefined],
  ["sale-1", undefined],
  ["purchase", undefined],
])("the id %s", (raw, named) => {
  expect(parseEventId(raw)).toEqual(named as never);
});
