/**
 * The foreign clients over TLS: with trust in the server's certificate, without it, and without TLS at all.
 * @module
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { selfSigned } from "../self-signed.ts";
import { startTestServer, type TestServer, uniqueSubject } from "../server.ts";
import { sha256Hex } from "../wire.ts";
import { expectGrpcError, largeReceiveBytes } from "./context.ts";
import { ForeignClient } from "./foreign-client.ts";
import { bytesOf } from "./foreign-shapes.ts";

setDefaultTimeout(30_000);

let folder: string;
let server: TestServer;

const write = async (name: string, text: string): Promise<string> => {
  const path = join(folder, name);
  await Bun.write(path, text);
  return path;
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "mts-tls-"));
  const { cert, key } = selfSigned(["localhost"], ["127.0.0.1"]);
  const env = { MTS_TLS_CERT: await write("cert.pem", cert), MTS_TLS_KEY: await write("key.pem", key) };
  await write("other.pem", selfSigned(["localhost"], ["127.0.0.1"]).cert);
  server = await startTestServer({ env });
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

test.each(["Go", "Python"] as const)("%s publishes, fetches and is told over TLS", async (language) => {
  await using client = await ForeignClient.start(language, "later");
  const roots = join(folder, "cert.pem");
  const channel = await client.open(server.grpcTarget, { receiveBytesMax: largeReceiveBytes, roots });
  const position = { subject: uniqueSubject("secret"), durable: "d" };
  const stream = await channel.subscribe(position);
  const large = { size: 3_000_000, seed: 1 };
  await channel.publish({ subject: position.subject, body: large });
  await stream.reached(1);
  const { messages } = await channel.fetch(position);
  expect(messages.map(({ sha256 }) => sha256)).toEqual([sha256Hex(bytesOf(large))]);
  expect(await channel.ack(position, 1)).toBe(true);
  await stream.cancel();

  const strangers = [await client.open(server.grpcTarget, { roots: join(folder, "other.pem") })];
  strangers.push(await client.open(server.grpcTarget));
  for (const stranger of strangers) await expectGrpcError(stranger.lastSequence("a"), "UNAVAILABLE");
  expect(await channel.lastSequence(position.subject)).toBe(1);
});
