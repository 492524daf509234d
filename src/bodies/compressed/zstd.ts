/**
 * Packing and unpacking of bodies with Zstandard. What is unpacked never takes more memory than the body has bytes, or
 * than a few chunks, whatever the packed bytes say.
 * https://www.rfc-editor.org/rfc/rfc8878
 * @module
 */
import * as zlib from "node:zlib";
import { contentBytesOf } from "./frame.ts";

/**
 * Levels: small bodies are packed on the event loop's thread, where 1 takes two thirds of the time of 3 (64 KiB of JSON:
 * 0.12 ms and 0.19); large ones on another, where a few per cent of the bytes are worth it.
 */
const level = { small: 1, large: 3 } as const;
/** From here on the hop to another thread, 0.06 ms, costs less than the work; unpacking takes half of the time. */
const otherThreadBytesMin = { pack: 32 * 1024, unpack: 64 * 1024 } as const;
/** Chunks of an unpacked stream; a quarter of what the contract allows. */
const chunkBytes = 256 * 1024;
/** Memory for what a frame refers back to, as a power of two: 8 MiB, four times what level 3 uses. */
const windowLogMax = 23;

const { ZSTD_c_compressionLevel: levelParameter, ZSTD_d_windowLogMax: windowParameter } = zlib.constants;

/** Whether packing such a body holds the event loop. */
export const packsNow = (bytes: number): boolean => bytes < otherThreadBytesMin.pack;

/** A small body in one frame that names its size. */
export const packNow = (body: Uint8Array): Uint8Array => Bun.zstdCompressSync(plain(body), { level: level.small });

/** The same on another thread; the body must not change meanwhile. */
export const pack = async (body: Uint8Array, size: keyof typeof level): Promise<Uint8Array> =>
  Bun.zstdCompress(plain(body), { level: level[size] });

/** Packs a stream into one frame. A chunk belongs to the source again when the next one is asked for. */
export const packStream = (chunks: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> =>
  through(zlib.createZstdCompress({ params: { [levelParameter]: level.large } }), chunks);

/** Whether unpacking to so many bytes holds the event loop. */
export const unpacksNow = (bytes: number): boolean => bytes < otherThreadBytesMin.unpack;

/** A body of so many bytes, or undefined when these are not what it was packed to. */
export const unpackNow = (packed: Uint8Array, bytes: number): Uint8Array | undefined => {
  try {
    // Three times as quick, but without a bound of its own.
    const body =
      contentBytesOf(packed) === bytes
        ? Bun.zstdDecompressSync(plain(packed))
        : zlib.zstdDecompressSync(packed, { maxOutputLength: bytes });
    return body.length === bytes ? body : undefined;
  } catch {
    return undefined;
  }
};

/** The same on another thread. */
export const unpack = (packed: Uint8Array, bytes: number): Promise<Uint8Array | undefined> =>
  new Promise((resolve) => {
    zlib.zstdDecompress(packed, { maxOutputLength: bytes }, (error, body) => {
      // What ends early is no error there.
      resolve(error === null && body.length === bytes ? body : undefined);
    });
  });

/** Unpacks a stream; iterating rejects when it is none that was packed, but not when it only ends early. */
export const unpackStream = (chunks: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> =>
  through(zlib.createZstdDecompress({ chunkSize: chunkBytes, params: { [windowParameter]: windowLogMax } }), chunks);

/** What was thrown while unpacking came of the bytes, not of the store that they were read from. */
export const isDamage = (thrown: unknown): boolean =>
  thrown instanceof Error && "code" in thrown && String(thrown.code).startsWith("ZSTD_");

type Transform = zlib.ZstdCompress | zlib.ZstdDecompress;

async function* through(transform: Transform, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const source = chunks[Symbol.asyncIterator]();
  void feed(transform, source);
  try {
    for await (const chunk of transform) yield chunk as Uint8Array;
  } finally {
    transform.destroy();
    // Not awaited: a source that never answers would hold whoever stops early.
    source.return?.().catch(() => undefined);
  }
}

/** Hands over chunk after chunk, each when the one before was taken; an error goes to whoever reads the stream. */
const feed = async (transform: Transform, source: AsyncIterator<Uint8Array>): Promise<void> => {
  try {
    for (let next = await source.next(); next.done !== true; next = await source.next()) {
      await taken(transform, next.value);
    }
    transform.end();
  } catch (thrown) {
    transform.destroy(thrown instanceof Error ? thrown : new Error(String(thrown)));
  }
};

const taken = (transform: Transform, chunk: Uint8Array): Promise<void> =>
  new Promise((resolve, reject) => {
    transform.write(chunk, (error) => (error == null ? resolve() : reject(error)));
  });

/** A view of plain memory, which is what the types ask for; nothing is copied here. */
const plain = (bytes: Uint8Array): Uint8Array<ArrayBuffer> =>
  bytes.buffer instanceof ArrayBuffer
    ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    : new Uint8Array(bytes);
