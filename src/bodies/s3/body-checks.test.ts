/**
 * Which checksums the S3 driver sends with bodies, to servers that know more and to some that know less. That every
 * one of them is verified is seen by damaging bodies on their way.
 * @module
 */
import { describe, expect, test } from "bun:test";
import type { S3Proxy, SeenRequest } from "../../testing/s3-proxy.ts";
import { codeOf, isPart, isPut, smallestPartBytes, useS3 } from "../../testing/s3-store.ts";
import { chunksOf, collect, expectBytes, patternBytes, rejectionOf, writeBodies, writeLarge } from "../cases.ts";
import type { BodyStore } from "../contract.ts";
import { BodyChecks } from "./body-checks.ts";

const s3 = useS3();

const sha256Of = (body: Uint8Array): string => Bun.SHA256.hash(body, "hex");
const body = patternBytes(1000, 1);
const unsigned = "UNSIGNED-PAYLOAD";

/** A PUT: what is signed as its content, and whether a CRC32 came along. */
const checkOf = ({ headers }: SeenRequest): readonly [string, boolean] => [
  String(headers["x-amz-content-sha256"]),
  headers["x-amz-checksum-crc32"] !== undefined,
];
const both = [sha256Of(body), true] as const;
const crc32Alone = [unsigned, true] as const;
const sha256Alone = [sha256Of(body), false] as const;

const checks = (proxy: S3Proxy): readonly (readonly [string, boolean])[] => proxy.seen.filter(isPut).map(checkOf);

/** Writes and reads back one body, as a segment or as an object of its own. */
const writes: readonly (readonly [string, (store: BodyStore) => Promise<void>])[] = [
  ["a segment", async (store) => expectBytes((await store.read(await writeBodies(store, [body])))[0], body)],
  ["a large body", async (store) => expectBytes(await collect(store.stream(await writeLarge(store, body))), body)],
  [
    "a large body in chunks",
    async (store) => expectBytes(await collect(store.stream(await writeLarge(store, chunksOf([body])))), body),
  ],
];

describe.each(writes)("%s", (_, write) => {
  test("the first brings both, the next ones CRC32 alone, and a wrong one is refused each time", async () => {
    const { store, proxy } = await s3.behindProxy();
    proxy.inject({ kind: "request damaged" }, 1, isPut);
    await write(store);
    proxy.inject({ kind: "request damaged" }, 1, isPut);
    await write(store);
    expect(checks(proxy)).toEqual([both, both, crc32Alone, crc32Alone]);
  });

  test("a server that does not know CRC32 gets SHA-256, which it verifies", async () => {
    const { store, proxy } = await s3.behindProxy();
    proxy.inject({ kind: "without header", name: "x-amz-checksum-crc32" }, 100, isPut);
    await write(store);
    proxy.clear();
    proxy.inject({ kind: "request damaged" }, 1, isPut);
    await write(store);
    expect(checks(proxy)).toEqual([sha256Alone, sha256Alone]);
  });

  test.each([
    [400, "InvalidArgument"],
    [501, "NotImplemented"],
  ])("a server that refuses the header with %d %s gets SHA-256", async (status, code) => {
    const { store, proxy } = await s3.behindProxy();
    proxy.inject({ kind: "answer", status, code }, 1, isPut);
    await write(store);
    await write(store);
    expect(checks(proxy)).toEqual([both, sha256Alone, sha256Alone]);
  });

  test("a rule that wants bodies signed, and one that refuses all", async () => {
    const { store, proxy } = await s3.behindProxy();
    await write(store);
    proxy.inject({ kind: "answer", status: 403, code: "AccessDenied" }, 1, isPut);
    await write(store);
    expect(checks(proxy)).toEqual([both, crc32Alone, sha256Alone]);
    proxy.clear();
    proxy.inject({ kind: "answer", status: 403, code: "AccessDenied" }, 100, isPut);
    expect(codeOf(await rejectionOf(write(store)))).toBe("unavailable");
    expect(checks(proxy)).toEqual([sha256Alone]);
  });

  test("SHA-256 and nothing else when that is wanted", async () => {
    const { store, proxy } = await s3.behindProxy({ checksum: "sha256" });
    await write(store);
    await write(store);
    expect(checks(proxy)).toEqual([sha256Alone, sha256Alone]);
  });
});

test("parts of an upload bring their SHA-256", async () => {
  const { store, proxy } = await s3.behindProxy({ partBytes: smallestPartBytes });
  await writeBodies(store, [body]);
  const large = patternBytes(smallestPartBytes + 1000, 2);
  proxy.inject({ kind: "request damaged" }, 1, isPart);
  expectBytes(await collect(store.stream(await writeLarge(store, large))), large);
  const parts = proxy.seen.filter(isPart);
  expect(parts).toHaveLength(3);
  for (const part of parts) expect(checkOf(part)).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/), false]);
});

test.each([
  ["over TLS", "auto", { tls: true, host: "s3.example.com" }, true],
  ["on this machine", "auto", { tls: false, host: "127.0.0.1" }, true],
  ["over a line that others share", "auto", { tls: false, host: "minio" }, false],
  ["there, when told so", "crc32", { tls: false, host: "minio" }, true],
  ["never, when told so", "sha256", { tls: true, host: "s3.example.com" }, false],
] as const)("CRC32 %s", async (_, choice, line, tried) => {
  const { crc32 } = await new BodyChecks(choice, line).of(body, undefined);
  expect(crc32 !== undefined).toBe(tried);
});
