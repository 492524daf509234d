/**
 * Push frames in both forms, read back by someone else's decoder.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { Unpackr } from "msgpackr";
import type { Delivery } from "../broker/contract.ts";
import { frameBytesMax } from "../core/limits.ts";
import type { BodyPointer } from "../core/pointer.ts";
import { parseSubject } from "../core/subject.ts";
import { JsonPushEncoder, MsgpackPushEncoder } from "./push.ts";

// Its types do not know "auto": a number where that is exact, else a bigint.
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: "auto" as "number" });

const delivery = (sequence: number, more: Partial<Delivery> = {}): Delivery => ({
  subject: parseSubject("orders.eu"),
  sequence,
  timestampMs: 1_732_190_000_000 + sequence,
  headers: { "content-type": "text/plain" },
  body: Buffer.from(`body ${sequence}`),
  sha256: new Uint8Array(32).fill(0xab),
  deliveries: 1,
  ...more,
});

const tupleOf = (message: Delivery): unknown[] => [
  message.subject,
  message.sequence,
  message.timestampMs,
  message.headers,
  Buffer.from(message.body),
  message.deliveries,
];

const msgpackFrames = (encoder: MsgpackPushEncoder, sid: number, messages: readonly Delivery[]): Uint8Array[] => {
  const frames: Uint8Array[] = [];
  encoder.frames(sid, messages, (frame) => frames.push(new Uint8Array(frame)));
  return frames;
};

const jsonFrames = (encoder: JsonPushEncoder, sid: number, messages: readonly Delivery[]): string[] => {
  const frames: string[] = [];
  encoder.frames(sid, messages, (frame) => frames.push(frame));
  return frames;
};

describe("msgpack", () => {
  test.each([1, 15, 16, 300])("%p messages are one frame of tuples", (count) => {
    const messages = Array.from({ length: count }, (_, i) => delivery(i + 1, { deliveries: (i % 200) + 1 }));
    const frames = msgpackFrames(new MsgpackPushEncoder(), 70_000, messages);
    expect(frames.map((frame) => unpackr.unpack(frame) as unknown)).toEqual([
      { op: "messages", sid: 70_000, messages: messages.map(tupleOf) },
    ]);
  });

  test("many subscribers get the same message, each with its own sid and deliveries", () => {
    const encoder = new MsgpackPushEncoder();
    for (let sid = 1; sid <= 5; sid++) {
      const message = delivery(1, { deliveries: sid * 100 });
      const [frame] = msgpackFrames(encoder, sid, [message]);
      expect(unpackr.unpack(frame!)).toEqual({ op: "messages", sid, messages: [tupleOf(message)] });
    }
  });

  test("messages that share a sequence are told apart", () => {
    const encoder = new MsgpackPushEncoder();
    const there = delivery(7);
    const here = delivery(7, { subject: parseSubject("orders.us"), body: Buffer.from("another") });
    for (const message of [there, there, here, there, here, here, here, there, there]) {
      const [frame] = msgpackFrames(encoder, 1, [message]);
      expect(unpackr.unpack(frame!)).toEqual({ op: "messages", sid: 1, messages: [tupleOf(message)] });
    }
  });

  test("what does not fit one frame comes in several, in order, each within the limit", () => {
    const bodyBytesMax = 1024 * 1024;
    const headers = { long: "\u0001".repeat(65_000) };
    const messages = Array.from({ length: 12 }, (_, i) =>
      delivery(i + 1, { body: Buffer.alloc(bodyBytesMax, i), headers }),
    );
    const frames = msgpackFrames(new MsgpackPushEncoder(), 1, messages);
    for (const frame of frames) expect(frame.length).toBeLessThanOrEqual(frameBytesMax(bodyBytesMax));
    const read = frames.flatMap((frame) => (unpackr.unpack(frame) as { messages: unknown[] }).messages);
    expect(read).toEqual(messages.map(tupleOf));
  });
});

describe("JSON", () => {
  const mapOf = (message: Delivery): unknown => ({
    subject: message.subject,
    sequence: message.sequence,
    timestamp: message.timestampMs,
    headers: message.headers,
    size: message.body.length,
    sha256: "ab".repeat(32),
    data_base64: Buffer.from(message.body).toString("base64"),
    deliveries: message.deliveries,
  });

  test("messages are maps with the HTTP field names, bytes always base64", () => {
    const encoder = new JsonPushEncoder();
    const messages = [delivery(1, { headers: { 'a"b': "ü\n" } }), delivery(2, { body: Buffer.alloc(0) })];
    for (let sid = 1; sid <= 3; sid++) {
      const again = messages.map((message) => ({ ...message, deliveries: sid }));
      expect(jsonFrames(encoder, sid, again).map((frame) => JSON.parse(frame) as unknown)).toEqual([
        { op: "messages", sid, messages: again.map(mapOf) },
      ]);
    }
  });

  test("what does not fit one frame comes in several, in order, each within the limit", () => {
    const bodyBytesMax = 512 * 1024;
    const headers = { long: "\u0001".repeat(65_000) };
    const messages = Array.from({ length: 12 }, (_, i) =>
      delivery(i + 1, { body: Buffer.alloc(i % 3 === 0 ? bodyBytesMax : 10), headers }),
    );
    const frames = jsonFrames(new JsonPushEncoder(), 1, messages);
    for (const frame of frames) expect(Buffer.byteLength(frame)).toBeLessThanOrEqual(frameBytesMax(bodyBytesMax));
    expect(frames.flatMap((frame) => (JSON.parse(frame) as { messages: unknown[] }).messages)).toEqual(
      messages.map(mapOf),
    );
  });

  test("no messages, no frame", () => {
    expect(jsonFrames(new JsonPushEncoder(), 1, [])).toEqual([]);
    expect(msgpackFrames(new MsgpackPushEncoder(), 1, [])).toEqual([]);
  });
});

describe("pointers and codings", () => {
  const pointer: BodyPointer = {
    bucket: "b",
    key: "k",
    offset: 3,
    length: 4,
    sha256: new Uint8Array(32).fill(1),
    size: 9,
    contentEncoding: "zstd",
    url: "/v1/bodies/t",
    headers: { range: "bytes=3-6" },
    expiresAtMs: 5,
  };
  const shown = {
    format: "s3-pointer-v1",
    bucket: "b",
    key: "k",
    offset: 3,
    length: 4,
    sha256: "01".repeat(32),
    size: 9,
    content_encoding: "zstd",
    url: "/v1/bodies/t",
    headers: { range: "bytes=3-6" },
    expires_at: 5,
  };

  test("a pointer takes the place of the body", () => {
    const message = delivery(1, { body: new Uint8Array(0), pointer, expiresAtMs: 7 });
    const [packed] = msgpackFrames(new MsgpackPushEncoder(), 1, [message]);
    expect(unpackr.unpack(packed ?? Buffer.alloc(0))).toMatchObject({
      messages: [["orders.eu", 1, message.timestampMs, message.headers, shown, 1]],
    });
    const [text] = jsonFrames(new JsonPushEncoder(), 1, [message]);
    const [parsed] = (JSON.parse(text ?? "") as { messages: object[] }).messages;
    expect(parsed).toMatchObject({ size: 9, expires_at: 7, pointer: shown });
    expect(parsed).not.toHaveProperty("data_base64");
  });

  test("what one subscriber gets as a pointer, or decoded, another gets as it was published", () => {
    const encoders = { msgpack: new MsgpackPushEncoder(), json: new JsonPushEncoder() };
    const forms = [
      delivery(1, { headers: { "content-encoding": "gzip" }, body: Buffer.from("zip") }),
      delivery(1, { headers: {}, body: Buffer.from("text") }),
      delivery(1, { body: new Uint8Array(0), pointer }),
    ];
    // What is kept is kept from the second time on.
    for (const message of [...forms, ...forms, ...forms]) {
      const [packed] = msgpackFrames(encoders.msgpack, 1, [message]);
      const [own] = msgpackFrames(new MsgpackPushEncoder(), 1, [message]);
      expect(packed).toEqual(own);
      expect(jsonFrames(encoders.json, 1, [message])).toEqual(jsonFrames(new JsonPushEncoder(), 1, [message]));
    }
  });
});
