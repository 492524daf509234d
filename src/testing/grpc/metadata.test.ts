/**
 * What clients of the original system may say in metadata, beside messages that have no room for it: how long a message
 * lives, when it is committed, and how bodies are wanted.
 * @module
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Client, Metadata, status } from "@grpc/grpc-js";
import { isScheduled, parsePointer } from "../client.ts";
import {
  callBidi,
  callStream,
  callUnary,
  connectGrpc,
  GrpcClient,
  grpcClientError,
  loadService,
  type Method,
  methodOf,
} from "../grpc-client.ts";
import { HttpClient } from "../http-client.ts";
import { uniqueSubject, useTestServer } from "../server.ts";
import { sha256Hex, type WireMap } from "../wire.ts";

setDefaultTimeout(30_000);

const ingress = loadService("minitoolstream.proto", "minitoolstream.IngressService");
const egress = loadService("minitoolstream.proto", "minitoolstream.EgressService");
const own = loadService("stream.proto", "minitoolstream.v1.StreamService");
const hourMs = 3_600_000;

const server = useTestServer();
let client: Client;
beforeAll(() => {
  client = connectGrpc(server().grpcTarget);
});
afterAll(() => client.close());

const metadataOf = (fields: Readonly<Record<string, string>>): Metadata => {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(fields)) metadata.set(name, value);
  return metadata;
};

/** A unary call, and its trailers. */
const callWithTrailers = async (
  method: Method,
  request: object,
  metadata: Metadata,
): Promise<readonly [reply: WireMap["fields"], trailers: Metadata]> => {
  const reply = Promise.withResolvers<WireMap["fields"]>();
  const trailers = Promise.withResolvers<Metadata>();
  const { path, requestSerialize, responseDeserialize } = method;
  client
    .makeUnaryRequest(path, requestSerialize, responseDeserialize, request, metadata, (error, answer) => {
      if (error !== null) reply.reject(error);
      else reply.resolve({ ...answer });
    })
    .on("status", (ended) => trailers.resolve(ended.metadata));
  return [await reply.promise, await trailers.promise];
};

describe.each([
  ["the original service", methodOf(ingress, "Publish")],
  ["the service of our own", methodOf(own, "Publish")],
])("a publish to %s", (_, method) => {
  const publish = (subject: string, metadata: Readonly<Record<string, string>>) =>
    callWithTrailers(method, { subject, data: Buffer.from("x") }, metadataOf(metadata));

  test.each([
    { delay: "1h" },
    { delay: "3600" },
    { "deliver-at": new Date(Date.now() + hourMs).toISOString() },
    { "deliver-at": String(Date.now() + hourMs) },
  ])("is committed later with %j", async (metadata) => {
    const subject = uniqueSubject("metadata");
    const [reply, trailers] = await publish(subject, metadata);
    expect(reply["sequence"]).toBeUndefined();
    expect(trailers.get("scheduled-id")[0]).toBeString();
    expect(Number(trailers.get("deliver-at")[0])).toBeGreaterThan(Date.now());
    expect((await new HttpClient(server().url).read(subject)).lastSequence).toBe(0);
  });

  test("has a time to live", async () => {
    const subject = uniqueSubject("metadata");
    const [reply, trailers] = await publish(subject, { "message-ttl": "1h" });
    expect([reply["sequence"], trailers.get("scheduled-id")]).toEqual([1, []]);
    const [message] = (await new HttpClient(server().url).read(subject)).messages;
    expect(message?.expiresAtMs).toBe((message?.timestampMs ?? 0) + hourMs);
  });

  test.each([
    [{ delay: "soon" }, "delay"],
    [{ "message-ttl": "0" }, "message-ttl"],
    [{ delay: "1s", "deliver-at": "1000" }, "deliver-at"],
  ])("is refused with %j", async (metadata, parameter) => {
    const error = await publish(uniqueSubject("metadata"), metadata as Record<string, string>).then(
      () => undefined,
      grpcClientError,
    );
    expect(error).toMatchObject({ code: "invalid_parameter", fields: { parameter } });
  });
});

test("what a message says itself wins over metadata", async () => {
  const subject = uniqueSubject("metadata");
  const request = { subject, data: Buffer.from("x"), delay_ms: hourMs };
  const [reply] = await callWithTrailers(methodOf(own, "Publish"), request, metadataOf({ delay: "2h" }));
  const scheduled = { ...reply, deliver_at: Number(reply["deliver_at"]) };
  expect(scheduled.deliver_at).toBeLessThan(Date.now() + hourMs + 60_000);
  const refused = callUnary(
    client,
    methodOf(own, "Publish"),
    { subject, data: Buffer.from("x"), expected_last_sequence: 0 },
    metadataOf({ delay: "1h" }),
  );
  expect(await refused.catch(grpcClientError)).toMatchObject({ code: "invalid_parameter" });
});

test("messages of a batch say it each by themselves", async () => {
  const subject = uniqueSubject("metadata");
  const grpc = new GrpcClient(server().grpcTarget);
  const results = await grpc.submitBatch([
    { subject, body: "1" },
    { subject, body: "2", delayMs: hourMs },
    { subject, body: "3", ttlMs: hourMs },
  ]);
  expect(results.map(isScheduled)).toEqual([false, true, false]);
  await grpc.close();
});

describe("a fetch of the original service", () => {
  const publishTwo = async (): Promise<string> => {
    const subject = uniqueSubject("deliver");
    await new HttpClient(server().url).publishBatch([
      { subject, body: Bun.gzipSync("coded"), headers: { "content-type": "text/plain", "content-encoding": "gzip" } },
      { subject, body: "plain", headers: { a: "b" } },
    ]);
    return subject;
  };
  const fetchAll = async (subject: string, deliver: string): Promise<readonly WireMap[]> => {
    const request = { subject, durable_name: "d", batch_size: 10 };
    const stream = callStream(client, methodOf(egress, "Fetch"), request, metadataOf({ deliver }));
    expect(await stream.ended).toMatchObject({ code: status.OK });
    return stream.received;
  };

  test("gives pointers as JSON, which say what the bodies are", async () => {
    const messages = await fetchAll(await publishTwo(), "pointer");
    const pointers = messages.map((message) => JSON.parse(Buffer.from(message.bytes("data")).toString()) as object);
    expect(messages.map((message) => message.strings("headers"))).toMatchObject([
      { "content-type": "application/vnd.s3-pointer+json" },
      { "content-type": "application/vnd.s3-pointer+json", a: "b" },
    ]);
    for (const message of messages) {
      const headers = message.strings("headers");
      expect(headers["data-size"]).toBe(String(message.bytes("data").length));
      expect(headers).not.toHaveProperty("content-encoding");
    }
    expect(pointers[0]).toMatchObject({ content_type: "text/plain", content_encoding: "gzip" });
    const { url, headers, sha256 } = parsePointer(pointers[1]);
    const body = new Uint8Array(await (await fetch(new URL(url, server().url), { headers })).arrayBuffer());
    expect([Buffer.from(body).toString(), sha256Hex(body)]).toEqual(["plain", sha256]);
  });

  test("gives decoded bodies", async () => {
    const messages = await fetchAll(await publishTwo(), "decoded");
    expect(messages.map((message) => Buffer.from(message.bytes("data")).toString())).toEqual(["coded", "plain"]);
    expect(messages[0]?.strings("headers")).toEqual({ "content-type": "text/plain", "data-size": "5" });
  });

  test("takes nothing else", async () => {
    const request = { subject: uniqueSubject("deliver"), durable_name: "d" };
    const stream = callStream(client, methodOf(egress, "Fetch"), request, metadataOf({ deliver: "bytes" }));
    expect(await stream.ended).toMatchObject({ code: status.INVALID_ARGUMENT });
    const bidi = callBidi(client, methodOf(own, "Subscribe"), metadataOf({ deliver: "bytes" }));
    bidi.send({ start: { filter: "a" } });
    expect(await bidi.ended).toMatchObject({ code: status.INVALID_ARGUMENT });
  });
});
