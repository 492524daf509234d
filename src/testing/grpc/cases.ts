/**
 * What clients written for the original work expect of every server, whatever stores it runs on: the cases run with
 * each language and each generation of the protocol.
 * @module
 */
import { expect, test } from "bun:test";
import { sequencesOf, upTo } from "../expectations.ts";
import { uniqueSubject } from "../server.ts";
import { sha256Hex } from "../wire.ts";
import { consume, expectGrpcError, type ForeignContext, largeReceiveBytes, untilMetric } from "./context.ts";
import { bytesOf } from "./foreign-shapes.ts";

const MiB = 1024 * 1024;
/** Of the servers that these cases run against, in bytes: room for 8 MB, and small enough to go past it. */
export const bodyBytesMax = 9 * MiB;

const textOf = (body: Uint8Array | undefined): string | undefined =>
  body === undefined ? undefined : Buffer.from(body).toString("utf8");

/** Publishing, fetching, acknowledging. */
export const defineCalls = (context: ForeignContext): void => {
  const { channel, http, settle } = context;

  test("Publish answers dense sequences and nothing but the sequence on the wire", async () => {
    const subject = uniqueSubject("dense");
    for (const sequence of upTo(3)) {
      const published = await channel().publish({ subject, body: `${sequence}` });
      expect(published).toEqual({ sequence, others: {}, wire: `080${sequence}` });
    }
    expect(await channel().lastSequence(subject)).toBe(3);
    expect(await channel().lastSequence(uniqueSubject("nobody"))).toBe(0);
  });

  test("a message comes out as it went in, with data-size from the server", async () => {
    const subject = uniqueSubject("whole/Тема");
    const headers = { "Content-Type": "text/plain", "x-Ключ": "значение ✓", empty: "", "data-size": "999" };
    const body = "Привет\0 \ufeff";
    const { sequence } = await channel().publish({ subject, body, headers });
    const { messages } = await channel().fetch({ subject, durable: "d" });
    const { timestampMs } = (await http().read(subject)).messages[0] ?? {};
    const size = Buffer.byteLength(body);
    expect(messages).toMatchObject([
      { subject, sequence, size, headers: { ...headers, "data-size": String(size) }, timestampMs },
    ]);
    expect(Object.keys(messages[0]?.headers ?? {})).toHaveLength(4);
    expect(textOf(messages[0]?.body)).toBe(body);
  });

  test("an empty body is a message like any other and blocks nothing", async () => {
    const subject = uniqueSubject("empty");
    for (const body of ["before", "", "after"]) await channel().publish({ subject, body });
    for (const durable of ["one", "two"]) {
      const { messages } = await channel().fetch({ subject, durable });
      expect(messages.map(({ body }) => textOf(body))).toEqual(["before", "", "after"]);
    }
  });

  test("Fetch gives the same batch until it is acknowledged, ten messages when no number is given", async () => {
    const subject = uniqueSubject("batches");
    const position = { subject, durable: "d" };
    for (const index of upTo(25)) await channel().publish({ subject, body: `${index}` });
    for (const batch of [undefined, 0, -1]) {
      const { messages } = await channel().fetch(position, batch === undefined ? {} : { batch });
      expect(sequencesOf(messages)).toEqual(upTo(10));
    }
    await settle(position, 7);
    expect(sequencesOf((await channel().fetch(position, { batch: 100 })).messages)).toEqual(upTo(18, 8));
    await settle(position, 25);
    expect((await channel().fetch(position)).messages).toEqual([]);
    // Another durable has a position of its own, and so has the same one elsewhere.
    expect(sequencesOf((await channel().fetch({ subject, durable: "e" }, { batch: 2 })).messages)).toEqual([1, 2]);
    expect((await channel().fetch({ subject: uniqueSubject("elsewhere"), durable: "d" })).messages).toEqual([]);
  });

  test("with auto_ack a Fetch moves the position by itself", async () => {
    const subject = uniqueSubject("auto");
    const position = { subject, durable: "d" };
    for (const index of upTo(5)) await channel().publish({ subject, body: `${index}` });
    const metadata = { "mts-auto-ack": "true" };
    expect(sequencesOf((await channel().fetch(position, { batch: 3, metadata })).messages)).toEqual([1, 2, 3]);
    expect(sequencesOf((await channel().fetch(position, { batch: 3, metadata })).messages)).toEqual([4, 5]);
    expect((await channel().fetch(position)).messages).toEqual([]);
    expect(await http().consumer(subject, "d")).toMatchObject({ ackedThrough: 5, pending: 0 });
  });

  test("what HTTP publishes gRPC fetches, and the other way round", async () => {
    const subject = uniqueSubject("both");
    await http().publish({ subject, body: "by HTTP", headers: { name: "value" } });
    await channel().publish({ subject, body: "by gRPC", headers: { "content-type": "text/plain" } });
    const { messages } = await channel().fetch({ subject, durable: "d" });
    expect(messages.map(({ body }) => textOf(body))).toEqual(["by HTTP", "by gRPC"]);
    expect(messages[0]?.headers).toMatchObject({ name: "value" });
    const response = await fetch(`${http().url}/v1/subjects/${encodeURIComponent(subject)}/messages/2`);
    expect([response.headers.get("content-type"), await response.text()]).toEqual(["text/plain", "by gRPC"]);
  });

  test("failures are statuses with the stable code beside them", async () => {
    const subject = uniqueSubject("failing");
    await expectGrpcError(channel().publish({ subject: "", body: "" }), "INVALID_ARGUMENT", "invalid_subject");
    await expectGrpcError(channel().publish({ subject: "a.*", body: "" }), "INVALID_ARGUMENT", "invalid_subject");
    await expectGrpcError(channel().lastSequence(""), "INVALID_ARGUMENT", "invalid_subject");
    await expectGrpcError(channel().fetch({ subject: "", durable: "d" }), "INVALID_ARGUMENT", "invalid_subject");
    await expectGrpcError(channel().fetch({ subject, durable: "" }), "INVALID_ARGUMENT");
    const stream = await channel().subscribe({ subject: "a..b", durable: "d" });
    expect((await stream.ended()).code).toBe("INVALID_ARGUMENT");
    expect(await channel().lastSequence(subject)).toBe(0);
  });

  if (context.generation === "later") defineAck(context);
};

/** AckMessage, which came with the later generation. */
const defineAck = ({ channel, http }: ForeignContext): void => {
  test("AckMessage moves forward only, and never beyond the end", async () => {
    const subject = uniqueSubject("acks");
    const position = { subject, durable: "d" };
    const acked = async (): Promise<number> => (await http().consumer(subject, "d")).ackedThrough;
    for (const index of upTo(5)) await channel().publish({ subject, body: `${index}` });
    // The first acknowledgement makes the consumer.
    expect(await channel().ack(position, 4)).toBe(true);
    expect(await channel().ack(position, 2)).toBe(true);
    expect(await acked()).toBe(4);
    for (const beyond of [6, 1_000_005, 2n ** 53n, 2n ** 64n - 1n]) {
      await expectGrpcError(channel().ack(position, beyond), "OUT_OF_RANGE", "sequence_out_of_range");
    }
    expect(await acked()).toBe(4);
    expect(sequencesOf((await channel().fetch(position)).messages)).toEqual([5]);
    await expectGrpcError(channel().ack({ subject: "", durable: "d" }, 1), "INVALID_ARGUMENT", "invalid_subject");
    await expectGrpcError(channel().ack({ subject, durable: "" }, 1), "INVALID_ARGUMENT");
  });
};

/** Notifications. */
export const defineSubscribe = (context: ForeignContext): void => {
  const { channel, http, settle } = context;

  test("Subscribe tells at once what is there, then of every change, and never goes back", async () => {
    const subject = uniqueSubject("told");
    for (const index of upTo(3)) await channel().publish({ subject, body: `${index}` });
    const stream = await channel().subscribe({ subject, durable: "d" });
    await stream.reached(3);
    expect(stream.notified).toEqual([{ subject, sequence: 3 }]);
    for (const index of upTo(50, 4)) {
      await channel().publish({ subject, body: `${index}` });
      await stream.reached(index);
    }
    expect(sequencesOf(stream.notified)).toEqual(upTo(51, 3));
    await stream.cancel();
    expect((await stream.ended()).code).toBe("CANCELLED");
  });

  test("it tells nothing at once when the durable or start_sequence has all of it", async () => {
    const subject = uniqueSubject("known");
    const position = { subject, durable: "d" };
    for (const index of upTo(3)) await channel().publish({ subject, body: `${index}` });
    await channel().fetch(position);
    await settle(position, 3);
    const streams = [
      await channel().subscribe(position),
      await channel().subscribe({ subject, durable: "fresh" }, { start: 3 }),
      // Below the position it changes nothing.
      await channel().subscribe(position, { start: 1 }),
      await channel().subscribe({ subject, durable: "fresh" }, { start: 2 }),
    ];
    await streams[3]?.reached(3);
    await http().publish({ subject, body: "4" });
    await Promise.all(streams.map((stream) => stream.reached(4)));
    // A stream that the server had not begun when the fourth was published begins with the fourth: also right.
    expect(streams.slice(0, 3).map((stream) => sequencesOf(stream.notified))).toEqual([[4], [4], [4]]);
    await Promise.all(streams.map((stream) => stream.cancel()));
  });

  test("an unknown subject waits for its first message; everybody is told", async () => {
    const subject = uniqueSubject("awaited");
    const streams = await Promise.all(
      ["same", "same", "other"].map((durable) => channel().subscribe({ subject, durable })),
    );
    await channel().publish({ subject, body: "1" });
    await Promise.all(streams.map((stream) => stream.reached(1)));
    for (const stream of streams) await stream.cancel();
  });

  test("a backlog larger than the batch is drained without another publish", async () => {
    const subject = uniqueSubject("backlog");
    for (const index of upTo(25)) await channel().publish({ subject, body: `${index}` });
    const received = await consume(context, { subject, durable: "d" }, { count: 25, batch: 10 });
    expect(sequencesOf(received)).toEqual(upTo(25));
  });

  test("a deadline ends it", async () => {
    const stream = await channel().subscribe({ subject: uniqueSubject("short"), durable: "d" }, { deadlineMs: 50 });
    expect((await stream.ended()).code).toBe("DEADLINE_EXCEEDED");
  });
};

/** Large bodies and the limit. */
export const defineSizes = ({ channel, open }: ForeignContext): void => {
  const large = { size: 8 * 1000 * 1000 + 7, seed: 5 };

  test("8 MB go in and out; a client that set no limit is refused them by itself", async () => {
    const subject = uniqueSubject("large");
    const position = { subject, durable: "d" };
    await channel().publish({ subject, body: large });
    await channel().publish({ subject, body: "small" });
    const { messages } = await channel().fetch(position);
    expect(messages).toMatchObject([
      {
        sequence: 1,
        size: large.size,
        sha256: sha256Hex(bytesOf(large)),
        headers: { "data-size": String(large.size) },
      },
      { sequence: 2, size: 5 },
    ]);
    const narrow = await open();
    await expectGrpcError(narrow.fetch(position), "RESOURCE_EXHAUSTED");
    expect(sequencesOf((await channel().fetch(position)).messages)).toEqual([1, 2]);
  });

  test("the largest body is taken, one byte more is not, and nothing of it is stored", async () => {
    const subject = uniqueSubject("limit");
    for (const more of [-1, 0]) await channel().publish({ subject, body: { size: bodyBytesMax + more } });
    await expectGrpcError(
      channel().publish({ subject, body: { size: bodyBytesMax + 1 } }),
      "RESOURCE_EXHAUSTED",
      "body_too_large",
    );
    // Past what is received at all: the status comes from the layer below, which knows no codes of ours.
    await expectGrpcError(channel().publish({ subject, body: { size: bodyBytesMax + 2 * MiB } }), "RESOURCE_EXHAUSTED");
    expect(await channel().lastSequence(subject)).toBe(2);
    const { messages } = await channel().fetch({ subject, durable: "d" });
    expect(messages.map(({ size }) => size)).toEqual([bodyBytesMax - 1, bodyBytesMax]);
    // The channel is as good as before.
    expect((await channel().publish({ subject, body: "small" })).sequence).toBe(3);
  });
};

/** Requests through gzip, which clients of both languages can be told to use. */
export const defineCompression = ({ channel, open }: ForeignContext): void => {
  test("compressed requests are read", async () => {
    const compressing = await open({ receiveBytesMax: largeReceiveBytes, compress: true });
    const subject = uniqueSubject("gzip");
    const position = { subject, durable: "d" };
    const bodies = [{ size: 0 }, { size: 100 }, { size: bodyBytesMax }];
    for (const body of bodies) await compressing.publish({ subject, body });
    const { messages } = await compressing.fetch(position);
    expect(messages.map(({ sha256 }) => sha256)).toEqual(bodies.map((body) => sha256Hex(bytesOf(body))));
  });

  test("a body that is small only while it is compressed is refused", async () => {
    const compressing = await open({ receiveBytesMax: largeReceiveBytes, compress: true });
    const subject = uniqueSubject("bomb");
    for (const size of [bodyBytesMax + 1, bodyBytesMax + 2 * MiB, 100 * MiB]) {
      await expectGrpcError(compressing.publish({ subject, body: { size } }), "RESOURCE_EXHAUSTED");
    }
    expect(await channel().lastSequence(subject)).toBe(0);
    expect((await compressing.publish({ subject, body: "small" })).sequence).toBe(1);
  });
};

/** Many at once, and callers that go away. */
export const defineConcurrency = (context: ForeignContext): void => {
  const { channel, http, open, server } = context;

  test("64 callers at once: every sequence once, each caller's in its order", async () => {
    const subject = uniqueSubject("many");
    const callers = 64;
    const each = 10;
    const published = await channel().publishMany({ subject, body: { size: 100 } }, { callers, each });
    expect(published.map((sequences) => sequences.length)).toEqual(upTo(callers).map(() => each));
    for (const sequences of published) expect(sequences.toSorted((a, b) => a - b)).toEqual([...sequences]);
    expect(published.flat().toSorted((a, b) => a - b)).toEqual(upTo(callers * each));
    const { messages } = await channel().fetch({ subject, durable: "d" }, { batch: callers * each });
    expect(sequencesOf(messages)).toEqual(upTo(callers * each));
    for (const { sequence, headers } of messages) {
      expect(published[Number(headers["caller"])]?.[Number(headers["index"])]).toBe(sequence);
    }
  });

  test("a stream that is cancelled leaves nothing behind, nor does one whose connection ends", async () => {
    const subject = uniqueSubject("gone");
    const leaving = await open();
    await untilMetric(server(), "mts_grpc_open_calls", 0);
    const cancelled = await Promise.all(upTo(10).map((n) => channel().subscribe({ subject, durable: `c${n}` })));
    for (const n of upTo(10)) await leaving.subscribe({ subject, durable: `d${n}` });
    await untilMetric(server(), "mts_grpc_open_calls", 20);
    for (const stream of cancelled) await stream.cancel();
    await untilMetric(server(), "mts_grpc_open_calls", 10);
    await leaving.close();
    await untilMetric(server(), "mts_grpc_open_calls", 0);
    // Nobody acknowledged, so nobody has a position.
    expect(await http().consumers(subject)).toEqual([]);
  });

  test("a Fetch that is cancelled in the midst moves nothing and ends", async () => {
    const subject = uniqueSubject("half");
    const position = { subject, durable: "d" };
    for (const index of upTo(20)) await channel().publish({ subject, body: { size: 300_000, seed: index } });
    expect(sequencesOf((await channel().fetch(position, { batch: 20, take: 2 })).messages)).toEqual([1, 2]);
    await untilMetric(server(), "mts_grpc_open_calls", 0);
    const { messages } = await channel().fetch(position, { batch: 20 });
    expect(sequencesOf(messages)).toEqual(upTo(20));
    expect(messages[19]?.sha256).toBe(sha256Hex(bytesOf({ size: 300_000, seed: 20 })));
  });

  test("callers that cancel at once do no harm", async () => {
    const subject = uniqueSubject("fleeting");
    const position = { subject, durable: "d" };
    await channel().publish({ subject, body: "1" });
    for (const method of ["Publish", "Fetch", "Subscribe"] as const) {
      const codes = await channel().cancelEarly(method, position, 60);
      expect(Object.keys(codes).filter((code) => code !== "CANCELLED" && code !== "OK")).toEqual([]);
    }
    await untilMetric(server(), "mts_grpc_open_calls", 0);
    // A Publish whose caller left may still be done, before the next one; either way the numbers are dense.
    const { sequence } = await channel().publish({ subject, body: "last" });
    const { messages } = await channel().fetch(position, { batch: 1000 });
    expect(sequencesOf(messages)).toEqual(upTo(sequence));
    expect(textOf(messages.at(-1)?.body)).toBe("last");
  });
};
