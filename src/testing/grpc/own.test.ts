/**
 * gRPC's own behaviour against the real server: statuses, positions, notifications, credit, deadlines, health, limits
 * and a clean end. What the transports share is in `stream.test.ts`, foreign clients are in `foreign.test.ts`.
 * @module
 */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, Metadata, status } from "@grpc/grpc-js";
import { someBytes, upTo } from "../expectations.ts";
import {
  callBidi,
  callStream,
  callUnary,
  connectGrpc,
  type GrpcStream,
  grpcClientError,
  loadService,
  methodOf,
} from "../grpc-client.ts";
import { guard, release } from "../guardian.ts";
import { HttpClient } from "../http-client.ts";
import { startTestServer, uniqueSubject, useTestServer } from "../server.ts";
import type { WireMap } from "../wire.ts";

setDefaultTimeout(30_000);

const original = {
  ...loadService("minitoolstream.proto", "minitoolstream.IngressService"),
  ...loadService("minitoolstream.proto", "minitoolstream.EgressService"),
};
const own = loadService("stream.proto", "minitoolstream.v1.StreamService");
const health = loadService("health.proto", "grpc.health.v1.Health");

const server = useTestServer({ env: { MTS_MAX_BODY_BYTES: "4MiB" } });
let client: Client;
beforeAll(() => {
  client = connectGrpc(server().grpcTarget);
});
afterAll(() => client.close());

const call = (name: string, request: object, metadata?: Metadata): Promise<WireMap> =>
  callUnary(client, methodOf(original, name), request, metadata);
const publish = async (subject: string, body: Uint8Array | string = "x"): Promise<number> =>
  (await call("Publish", { subject, data: Buffer.from(body) })).integer("sequence");
const publishMany = async (subject: string, count: number): Promise<void> => {
  for (const index of upTo(count)) await publish(subject, String(index));
};
const ack = (subject: string, durable: string, sequence: number): Promise<WireMap> =>
  call("AckMessage", { subject, durable_name: durable, sequence });
const fetchAll = async (subject: string, durable: string, batch = 0, metadata?: Metadata): Promise<GrpcStream> => {
  const request = { subject, durable_name: durable, batch_size: batch };
  const stream = callStream(client, methodOf(original, "Fetch"), request, metadata);
  expect(await stream.ended).toMatchObject({ code: status.OK });
  return stream;
};
const fetchSequences = async (subject: string, durable: string, batch = 0, metadata?: Metadata): Promise<number[]> =>
  sequencesOf(await fetchAll(subject, durable, batch, metadata));
const sequencesOf = (stream: GrpcStream): number[] => stream.received.map((message) => message.integer("sequence"));
const withAutoAck = (value: string): Metadata => {
  const metadata = new Metadata();
  metadata.set("mts-auto-ack", value);
  return metadata;
};
const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => new Error("it was answered"),
    (thrown: unknown) => thrown,
  );
const failure = async (promise: Promise<unknown>): Promise<{ status: number; code: string }> => {
  const error = await rejection(promise);
  const known = grpcClientError(error);
  if (!(error instanceof Error) || !("code" in error) || !(known instanceof Error) || !("code" in known)) throw error;
  return { status: Number(error.code), code: String(known.code) };
};

describe("statuses", () => {
  const wrong: readonly (readonly [method: string, request: object, status: number, code: string])[] = [
    ["Publish", { subject: "" }, status.INVALID_ARGUMENT, "invalid_subject"],
    ["Publish", { subject: "a b" }, status.INVALID_ARGUMENT, "invalid_subject"],
    ["Publish", { subject: "a", headers: { "": "x" } }, status.INVALID_ARGUMENT, "invalid_header"],
    ["Publish", { subject: "a", data: Buffer.alloc(4 * 1024 * 1024 + 1) }, status.RESOURCE_EXHAUSTED, "body_too_large"],
    ["Publish", { subject: "a", data: Buffer.alloc(6 * 1024 * 1024) }, status.RESOURCE_EXHAUSTED, "body_too_large"],
    ["GetLastSequence", { subject: "" }, status.INVALID_ARGUMENT, "invalid_subject"],
    ["AckMessage", { subject: "", durable_name: "d" }, status.INVALID_ARGUMENT, "invalid_subject"],
    ["AckMessage", { subject: "a", durable_name: "" }, status.INVALID_ARGUMENT, "invalid_consumer"],
    ["AckMessage", { subject: "none", durable_name: "d", sequence: 1 }, status.OUT_OF_RANGE, "sequence_out_of_range"],
  ];
  test.each(wrong.map((row) => [...row] as [string, object, number, string]))("%s %#", async (method, ...rest) => {
    const [request, expected, code] = rest;
    expect(await failure(call(method, request))).toEqual({ status: expected, code });
  });

  test("of the service of our own", async () => {
    const subject = uniqueSubject("status");
    const ask = (name: string, request: object) => failure(callUnary(client, methodOf(own, name), request));
    expect(await ask("Publish", { subject, expected_last_sequence: 4 })).toEqual({
      status: status.ABORTED,
      code: "wrong_last_sequence",
    });
    expect(await ask("Nack", { subject, consumer: "c", sequences: [1] })).toEqual({
      status: status.NOT_FOUND,
      code: "consumer_not_found",
    });
    await publish(subject);
    await callUnary(client, methodOf(own, "Fetch"), { subject, consumer: "c" });
    expect(await ask("Nack", { subject, consumer: "c", sequences: [1] })).toEqual({
      status: status.FAILED_PRECONDITION,
      code: "wrong_ack_mode",
    });
  });

  test("the largest body goes in and comes out", async () => {
    const subject = uniqueSubject("largest");
    const body = someBytes(4 * 1024 * 1024);
    await publish(subject, body);
    const [message] = (await fetchAll(subject, "d")).received;
    expect(Buffer.from(message?.bytes("data") ?? []).equals(body)).toBe(true);
  });

  test("an unknown method, metadata without end, and what is no gRPC", async () => {
    const unknown = { ...methodOf(original, "Publish"), path: "/minitoolstream.IngressService/Nothing" };
    expect(await rejection(callUnary(client, unknown, {}))).toMatchObject({ code: status.UNIMPLEMENTED });
    const metadata = new Metadata();
    metadata.set("x-long", "x".repeat(20_000));
    expect(await rejection(call("GetLastSequence", { subject: "a" }, metadata))).toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
    });
    expect(await publish(uniqueSubject("after"))).toBe(1);
  });
});

describe("Fetch and AckMessage", () => {
  test("ten come when no size is given, and the same again until they are acknowledged", async () => {
    const subject = uniqueSubject("fetch");
    await publishMany(subject, 12);
    for (const batch of [0, -1]) expect(await fetchSequences(subject, "d", batch)).toEqual(upTo(10));
    expect(await fetchSequences(subject, "d", 3)).toEqual([1, 2, 3]);
    expect((await ack(subject, "d", 10)).fields).toEqual({ success: true });
    expect(await fetchSequences(subject, "d")).toEqual([11, 12]);
    expect(await fetchSequences(subject, "other", 100)).toEqual(upTo(12));
  });

  test("an acknowledgement backwards is a success that moves nothing, one beyond the end is refused", async () => {
    const subject = uniqueSubject("ack");
    await publishMany(subject, 3);
    await ack(subject, "d", 2);
    await ack(subject, "d", 1);
    expect(await fetchSequences(subject, "d")).toEqual([3]);
    expect(await failure(ack(subject, "d", 4))).toEqual({ status: status.OUT_OF_RANGE, code: "sequence_out_of_range" });
    expect(await fetchSequences(subject, "d")).toEqual([3]);
  });

  test("mts-auto-ack acknowledges what was delivered", async () => {
    const subject = uniqueSubject("auto");
    await publishMany(subject, 5);
    expect(await fetchSequences(subject, "d", 2, withAutoAck("true"))).toEqual([1, 2]);
    expect(await fetchSequences(subject, "d", 2, withAutoAck("true"))).toEqual([3, 4]);
    expect(await fetchSequences(subject, "d", 2, withAutoAck("false"))).toEqual([5]);
    expect(await fetchSequences(subject, "d", 2)).toEqual([5]);
    const request = { subject, durable_name: "d" };
    const refused = callStream(client, methodOf(original, "Fetch"), request, withAutoAck("maybe"));
    expect(await refused.ended).toMatchObject({ code: status.INVALID_ARGUMENT });
  });

  test("an explicit consumer leases, and auto-ack settles its leases", async () => {
    const subject = uniqueSubject("explicit");
    const admin = new HttpClient(server().url);
    await admin.putConsumer(subject, "d", { ack: "explicit" });
    await publishMany(subject, 4);
    expect(await fetchSequences(subject, "d", 2)).toEqual([1, 2]);
    expect(await fetchSequences(subject, "d", 10, withAutoAck("true"))).toEqual([3, 4]);
    expect(await admin.consumer(subject, "d")).toMatchObject({ ackPending: 2, pending: 2 });
  });

  test("a batch of more than one page of storage has no gap and no repetition", async () => {
    const subject = uniqueSubject("pages");
    const body = someBytes(300_000);
    for (let count = 0; count < 20; count++) await publish(subject, body);
    const stream = await fetchAll(subject, "d", 15);
    expect(sequencesOf(stream)).toEqual(upTo(15));
    expect(stream.received.every((message) => Buffer.from(message.bytes("data")).equals(body))).toBe(true);
  });
});

describe("Subscribe", () => {
  const subscribe = (request: object): GrpcStream => callStream(client, methodOf(original, "Subscribe"), request);

  test("tells at once what lies behind the position, and then what comes", async () => {
    const subject = uniqueSubject("notify");
    await publishMany(subject, 3);
    await ack(subject, "behind", 1);
    await ack(subject, "done", 3);
    const behind = subscribe({ subject, consumer_group: "behind" });
    const unknown = subscribe({ subject, consumer_group: "unknown" });
    await Promise.all([behind.count(1), unknown.count(1)]);
    const done = subscribe({ subject, consumer_group: "done" });
    const above = subscribe({ subject, consumer_group: "behind", start_sequence: 4 });
    // Told of 3, which nobody but the first two hear of; the others are subscribed when they hear of a later one.
    while (done.received.length === 0 || above.received.length === 0) await publish(subject);
    expect(sequencesOf(behind)[0]).toBe(3);
    expect(sequencesOf(unknown)[0]).toBe(3);
    expect(sequencesOf(done)[0]).toBeGreaterThan(3);
    expect(sequencesOf(above)[0]).toBeGreaterThan(4);
    for (const stream of [behind, unknown, done, above]) {
      expect(sequencesOf(stream)).toEqual([...new Set(sequencesOf(stream))].sort((a, b) => a - b));
      stream.cancel();
    }
  });

  test("five hundred that are cancelled leave nothing behind", async () => {
    const subject = uniqueSubject("cancel");
    await publish(subject);
    const streams = upTo(500).map(() => subscribe({ subject, consumer_group: "d" }));
    await Promise.all(
      streams.map(async (stream) => {
        await stream.count(1);
        stream.cancel();
        await stream.ended;
      }),
    );
    const openCalls = async (): Promise<string | undefined> =>
      /^mts_grpc_open_calls (\d+)$/m.exec(await (await fetch(`${server().url}/metrics`)).text())?.[1];
    while ((await openCalls()) !== "0") await publish(subject);
  });

  test("ends with its deadline", async () => {
    const request = { subject: uniqueSubject("deadline"), consumer_group: "d" };
    const stream = callStream(client, methodOf(original, "Subscribe"), request, undefined, 50);
    expect(await stream.ended).toMatchObject({ code: status.DEADLINE_EXCEEDED });
  });
});

describe("StreamService.Subscribe", () => {
  const subscribe = (start: object): GrpcStream => {
    const stream = callBidi(client, methodOf(own, "Subscribe"));
    stream.send({ start });
    return stream;
  };
  const pushed = (stream: GrpcStream): number[] =>
    stream.received
      .filter((response) => response.has("messages"))
      .flatMap((response) => (response.fields["messages"] as { messages: { sequence: number }[] }).messages)
      .map(({ sequence }) => sequence);

  test("sends what there is credit for", async () => {
    const subject = uniqueSubject("credit");
    await publishMany(subject, 6);
    const stream = subscribe({ filter: subject, from: "first", credit: 2 });
    while (pushed(stream).length < 2) await stream.count(stream.received.length + 1);
    // A notification that comes behind another publish shows that no third message was on its way.
    const notified = subscribe({ filter: subject, mode: "MODE_NOTIFY" });
    await notified.count(1);
    await publish(subject);
    await notified.count(2);
    expect(pushed(stream)).toEqual([1, 2]);
    stream.send({ credit: { messages: 3 } });
    while (pushed(stream).length < 5) await stream.count(stream.received.length + 1);
    expect(pushed(stream)).toEqual(upTo(5));
    stream.send({ credit: { messages: -1 } });
    while (pushed(stream).length < 7) await stream.count(stream.received.length + 1);
    expect(pushed(stream)).toEqual(upTo(7));
    stream.cancel();
    notified.cancel();
  });

  test("a client that does not read holds up the server's reading, and misses nothing", async () => {
    const subject = uniqueSubject("slow");
    const body = someBytes(1024 * 1024);
    const stream = subscribe({ filter: subject, from: "first", credit: -1 });
    await stream.count(1);
    stream.pause();
    for (let count = 0; count < 40; count++) await publish(subject, body);
    stream.resume();
    while (pushed(stream).length < 40) await stream.count(stream.received.length + 1);
    expect(pushed(stream)).toEqual(upTo(40));
    stream.cancel();
  });

  test("a deleted consumer ends it", async () => {
    const subject = uniqueSubject("deleted");
    const stream = subscribe({ filter: subject, consumer: "c" });
    await stream.count(1);
    await new HttpClient(server().url).deleteConsumer(subject, "c");
    expect(await stream.ended).toMatchObject({ code: status.NOT_FOUND });
  });

  test("credit before the start, two starts and wrong filters are refused", async () => {
    const first = callBidi(client, methodOf(own, "Subscribe"));
    first.send({ credit: { messages: 1 } });
    expect(await first.ended).toMatchObject({ code: status.INVALID_ARGUMENT });
    const twice = subscribe({ filter: "a" });
    twice.send({ start: { filter: "b" } });
    expect(await twice.ended).toMatchObject({ code: status.INVALID_ARGUMENT });
    expect(await subscribe({ filter: "a.>.b" }).ended).toMatchObject({ code: status.INVALID_ARGUMENT });
    expect(await subscribe({ filter: ">", consumer: "c" }).ended).toMatchObject({ code: status.INVALID_ARGUMENT });
  });
});

describe("health and end", () => {
  test("Check knows the services", async () => {
    for (const service of ["", "minitoolstream.IngressService", "minitoolstream.v1.StreamService"]) {
      expect((await callUnary(client, methodOf(health, "Check"), { service })).string("status")).toBe("SERVING");
    }
    expect(await rejection(callUnary(client, methodOf(health, "Check"), { service: "x" }))).toMatchObject({
      code: status.NOT_FOUND,
    });
  });

  test("a stop tells who watches, ends open streams with UNAVAILABLE, and is not held up by them", async () => {
    await using stopping = await startTestServer();
    const other = connectGrpc(stopping.grpcTarget);
    const watch = callStream(other, methodOf(health, "Watch"), { service: "" });
    const subscription = callStream(other, methodOf(original, "Subscribe"), { subject: "a", consumer_group: "d" });
    const stream = callBidi(other, methodOf(own, "Subscribe"));
    stream.send({ start: { filter: ">" } });
    await Promise.all([watch.count(1), stream.count(1)]);
    await stopping.stop();
    expect(watch.received.map((response) => response.string("status"))).toEqual(["SERVING", "NOT_SERVING"]);
    for (const { ended } of [watch, subscription, stream]) {
      expect(await ended).toMatchObject({ code: status.UNAVAILABLE });
    }
    other.close();
  });

  test("a port that was given and is taken is named with its flag", async () => {
    const port = server().grpcTarget.split(":")[1] ?? "";
    const error = await rejection(startTestServer({ env: { MTS_GRPC_PORT: port } }));
    expect(String(error)).toMatch(new RegExp(`ended with 1 .*port ${port} on 127.0.0.1 is taken.*--grpc-port`, "s"));
    // Actors had begun by then, and have let go of the store before it was closed.
    expect(String(error)).not.toContain("actor_waits");
  });

  test("a default port that is taken is a warning, and the server serves without gRPC", async () => {
    // Whoever has the port, it is taken.
    const holder = createServer();
    await new Promise<void>((resolve) => {
      holder.once("error", () => resolve());
      holder.listen(50_051, "127.0.0.1", () => resolve());
    });
    const dataDir = await mkdtemp(join(tmpdir(), "mts-test-"));
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("MTS_")));
    const main = join(import.meta.dir, "..", "..", "main.ts");
    const child = Bun.spawn([process.execPath, main, "--http-port", "0", "--data-dir", dataDir], {
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    guard(child.pid);
    const { value } = await child.stdout.getReader().read();
    const url = Buffer.from(value ?? []).toString();
    expect(url).toMatch(/^http:\/\/\S+\n$/);
    expect((await fetch(`${url.trim()}/readyz`)).status).toBe(200);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    release(child.pid);
    const log = await new Response(child.stderr).text();
    expect(log).toContain("grpc_port_taken");
    expect(log).toContain("--grpc-port");
    holder.close();
    await rm(dataDir, { recursive: true, force: true });
  });
});
