/**
 * Undoing content codings: what was encoded comes back, what is damaged or too much does not pass for a body.
 */
import { describe, expect, test } from "bun:test";
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { StreamError } from "../core/errors.ts";
import { type Coding, codingsOf, decodeStream, decodeWhole, UndecodableError } from "./codings.ts";

const text = (bytes: number): Uint8Array =>
  new TextEncoder().encode("one line of a log, again and again\n".repeat(bytes / 35));

/** Bytes that do not compress, so that a frame has several blocks. */
const noise = (bytes: number): Uint8Array => {
  const made = new Uint8Array(bytes);
  for (let start = 0; start < bytes; start += 65_536) crypto.getRandomValues(made.subarray(start, start + 65_536));
  return made;
};

const coders: Readonly<Record<string, readonly [string, (body: Uint8Array) => Uint8Array]>> = {
  gzip: ["gzip", gzipSync],
  "deflate (zlib)": ["deflate", deflateSync],
  "deflate (bare)": ["deflate", deflateRawSync],
  br: ["br", brotliCompressSync],
  zstd: ["zstd", zstdCompressSync],
  "x-gzip": ["X-GZIP", gzipSync],
  "two of them": ["gzip, identity, zstd", (body) => zstdCompressSync(gzipSync(body))],
};

const codingsIn = (value: string) => codingsOf({ "content-encoding": value }) ?? [];

async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

const collect = async (chunks: AsyncIterable<Uint8Array>): Promise<Buffer> => {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
};

const failureOf = (chunks: AsyncIterable<Uint8Array>): Promise<unknown> =>
  collect(chunks).then(
    ({ length }) => `${length} bytes`,
    (thrown: unknown) => thrown,
  );

describe("what the header says", () => {
  test.each<readonly [string, readonly Coding[] | undefined]>([
    ["gzip", ["gzip"]],
    [" GZip ,br", ["gzip", "br"]],
    ["identity", undefined],
    ["", undefined],
    ["snappy", undefined],
    ["gzip, snappy", undefined],
    ["gzip,gzip,gzip,gzip", undefined],
  ])("%s", (value, expected) => expect(codingsOf({ "content-encoding": value })).toEqual(expected));

  test("more than anybody needs", () => {
    expect(codingsOf({ "content-encoding": "gzip,".repeat(10_000) })).toBeUndefined();
  });

  test("nothing", () => expect(codingsOf({ "content-type": "gzip" })).toBeUndefined());
});

describe.each(Object.entries(coders))("%s", (_, [header, encode]) => {
  const codings = codingsIn(header);

  test("comes back as it was, whole and in chunks of any size", async () => {
    for (const body of [new Uint8Array(0), text(70_000), noise(300_000)]) {
      const encoded = encode(body);
      expect(Buffer.compare((await decodeWhole(encoded, codings, 400_000)) ?? text(1), body)).toBe(0);
      for (const size of [7, 4096, 1_000_000]) {
        const decoded = await collect(decodeStream(inChunks(encoded, size), codings, 400_000));
        expect(Buffer.compare(decoded, body)).toBe(0);
      }
    }
  });

  test("is not decoded when it is cut off, or something else", async () => {
    const encoded = encode(noise(300_000));
    for (const damaged of [encoded.subarray(0, encoded.length - 3), encoded.subarray(0, 5), text(1000)]) {
      expect(await decodeWhole(damaged, codings, 1_000_000)).toBeUndefined();
      expect(await failureOf(decodeStream(inChunks(damaged, 5000), codings, 1_000_000))).toBeInstanceOf(
        UndecodableError,
      );
    }
  });

  test("is not decoded beyond the bound", async () => {
    const bomb = encode(new Uint8Array(50_000_000));
    expect(await decodeWhole(bomb, codings, 100_000)).toBeUndefined();
    expect(await failureOf(decodeStream(inChunks(bomb, 65_536), codings, 100_000))).toBeInstanceOf(UndecodableError);
  });

  test("a source that fails is told as it is", async () => {
    const lost = new StreamError("data_loss", "Lost.");
    const encoded = encode(noise(300_000));
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield encoded.subarray(0, 1000);
      throw lost;
    }
    expect(await failureOf(decodeStream(failing(), codings, 1_000_000))).toBe(lost);
  });

  test("a reader that stops lets go of the source", async () => {
    const over = Promise.withResolvers<undefined>();
    const encoded = encode(noise(300_000));
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        yield* inChunks(encoded, 1000);
      } finally {
        over.resolve(undefined);
      }
    }
    for await (const chunk of decodeStream(source(), codings, 1_000_000)) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    await over.promise;
  });
});
