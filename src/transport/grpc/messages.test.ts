/**
 * Our reading and writing of messages against the general protobuf library and the proto files.
 * @module
 */
import { describe, expect, test } from "bun:test";
import type { Delivery } from "../../broker/contract.ts";
import { StreamError } from "../../core/errors.ts";
import { parseSubject } from "../../core/subject.ts";
import { loadService, methodOf } from "../../testing/grpc-client.ts";
import {
  frameNotification,
  readAckRequest,
  readFetchRequest,
  readPublishRequest,
  readSubscribeRequest,
  writeMessageHead,
  writePublishResponse,
} from "./messages.ts";
import { ProtoReader, ProtoWriter } from "./protobuf.ts";
import { frameMessages, readAck, readPublish, readSubscribeRequest as readStreamSubscribe } from "./stream-messages.ts";

const ingress = loadService("minitoolstream.proto", "minitoolstream.IngressService");
const egress = loadService("minitoolstream.proto", "minitoolstream.EgressService");
const stream = loadService("stream.proto", "minitoolstream.v1.StreamService");
const request = (methods: typeof ingress, name: string, value: object): Buffer =>
  methodOf(methods, name).requestSerialize(value);
const reply = (methods: typeof ingress, name: string, bytes: Buffer): object =>
  methodOf(methods, name).responseDeserialize(bytes);
const largest = Number.MAX_SAFE_INTEGER;

/** Every length of a varint, and the edges between them. */
const numbers = Array.from({ length: 8 }, (_, index) => 2 ** (7 * index))
  .flatMap((power) => [power - 1, power, power + 1])
  .concat([2 ** 31, 2 ** 32 - 1, 2 ** 32, largest])
  .filter((value) => value > 0);

const delivery = (body: Uint8Array, headers: Record<string, string> = {}): Delivery => ({
  subject: parseSubject("a.ж"),
  sequence: largest,
  timestampMs: 1_795_279_733_262,
  headers,
  body,
  sha256: new Uint8Array(32).fill(7),
  deliveries: 3,
});

describe("requests of the original services", () => {
  test("a publish with everything", () => {
    const headers = { x: "", ключ: "значение", __proto__x: "y" };
    const read = readPublishRequest(request(ingress, "Publish", { subject: "s", data: Buffer.from("abc"), headers }));
    expect(read).toMatchObject({ subject: "s", headers });
    expect(Buffer.from(read.data).toString()).toBe("abc");
    const named = Object.fromEntries([["__proto__", "own"]]);
    const { headers: own } = readPublishRequest(request(ingress, "Publish", { subject: "s", headers: named }));
    expect(Object.entries(own ?? {})).toEqual([["__proto__", "own"]]);
  });

  test("numbers are exact, and negative ones are", () => {
    for (const sequence of numbers) {
      const ack = { durable_name: "d", subject: "s", sequence };
      expect(readAckRequest(request(egress, "AckMessage", ack)).sequence).toBe(sequence);
      expect(reply(ingress, "Publish", writePublishResponse(sequence))).toMatchObject({ sequence });
      expect(reply(egress, "Subscribe", frameNotification("s", sequence).subarray(5))).toMatchObject({ sequence });
    }
    for (const batchSize of [0, 1, -1, -(2 ** 31), 2 ** 31 - 1]) {
      const fetch = { subject: "s", durable_name: "d", batch_size: batchSize };
      expect(readFetchRequest(request(egress, "Fetch", fetch)).batchSize).toBe(batchSize);
    }
  });

  test("an optional zero is there", () => {
    expect(readSubscribeRequest(request(egress, "Subscribe", { subject: "s", start_sequence: 0 }))).toMatchObject({
      startSequence: 0,
    });
    expect(readSubscribeRequest(request(egress, "Subscribe", { subject: "s" })).startSequence).toBeUndefined();
  });
});

describe("answers of the original services", () => {
  test("a success of Publish is the sequence alone", () => {
    expect(writePublishResponse(300)).toEqual(Buffer.from([0x08, 0xac, 0x02]));
  });

  test("a message has its parts and data-size", () => {
    const body = Buffer.from("тело");
    const writer = new ProtoWriter();
    writeMessageHead(writer, delivery(body, { a: "1", "data-size": "999" }));
    const framed = writer.raw(body).done();
    expect(framed.readUInt32BE(1)).toBe(framed.length - 5);
    expect(reply(egress, "Fetch", framed.subarray(5))).toMatchObject({
      subject: "a.ж",
      sequence: largest,
      data: body,
      headers: { a: "1", "data-size": "8" },
      timestamp: { seconds: 1_795_279_733, nanos: 262_000_000 },
    });
  });

  test("an empty message too", () => {
    const writer = new ProtoWriter(1);
    writeMessageHead(writer, delivery(Buffer.alloc(0)));
    const framed = writer.done();
    expect(framed.readUInt32BE(1)).toBe(framed.length - 5);
    expect(reply(egress, "Fetch", framed.subarray(5))).toMatchObject({ headers: { "data-size": "0" } });
  });
});

describe("messages of our own service", () => {
  test("requests", () => {
    const draft = {
      subject: "s",
      data: Buffer.from("x"),
      message_id: "",
      expected_last_sequence: 0,
      headers: { a: "b" },
    };
    expect(readPublish(request(stream, "Publish", draft))).toEqual(draft);
    for (const sequences of [[], numbers]) {
      const ack = { subject: "s", consumer: "c", sequences };
      expect(readAck(request(stream, "Ack", ack))).toMatchObject({ sequence: undefined, sequences });
    }
    expect(readStreamSubscribe(request(stream, "Subscribe", { credit: { messages: -1 } }))).toEqual({
      kind: "credit",
      messages: -1,
    });
    expect(readStreamSubscribe(request(stream, "Subscribe", { start: { filter: ">", mode: 1 } }))).toMatchObject({
      kind: "start",
      start: { filter: ">", mode: 1, credit: undefined },
    });
  });

  test("pushes", () => {
    const pushed = [delivery(Buffer.alloc(0)), delivery(Buffer.from("x"), { a: "b" })];
    const framed = frameMessages(pushed);
    expect(framed.readUInt32BE(1)).toBe(framed.length - 5);
    expect(reply(stream, "Subscribe", framed.subarray(5))).toMatchObject({
      messages: { messages: [{ deliveries: 3 }, { headers: { a: "b" }, data: Buffer.from("x"), sequence: largest }] },
    });
  });
});

describe("what is no message", () => {
  const wrong: readonly (readonly [name: string, bytes: readonly number[]])[] = [
    ["a length beyond the end", [0x0a, 0x05, 0x61]],
    ["a number without an end", [0x08, 0xff, 0xff]],
    ["a number of eleven bytes", [0x18, ...new Array<number>(10).fill(0xff), 0x01]],
    ["field 0", [0x00, 0x00]],
    ["a group", [0x23]],
    ["a number where text is due", [0x08, 0x01]],
    ["text that is not UTF-8", [0x0a, 0x01, 0xff]],
    ["a fixed number that is cut off", [0x39, 0x00]],
  ];
  test.each(wrong.map((row) => [row[0], [...row[1]]] as [string, number[]]))("%s is refused", (_, bytes) => {
    expect(() => readPublishRequest(Buffer.from(bytes))).toThrow(StreamError);
  });

  test("unknown fields are passed over", () => {
    const known = request(ingress, "Publish", { subject: "s" });
    const unknown = new ProtoWriter().number(9, 5).string(10, "new").done();
    const fixed = Buffer.from([0x59, 1, 2, 3, 4, 5, 6, 7, 8, 0x65, 1, 2, 3, 4]);
    expect(readPublishRequest(Buffer.concat([unknown, fixed, known])).subject).toBe("s");
  });

  test("a number above 2^53 comes out as none that is safe", () => {
    const reader = new ProtoReader(Buffer.from([0x08, ...new Array<number>(9).fill(0xff), 0x01]));
    reader.next();
    expect(Number.isSafeInteger(reader.uint64())).toBe(false);
  });
});
