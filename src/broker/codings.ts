/**
 * Undoing what a message's `content-encoding` header says was done to its body: gzip, deflate, br and zstd. Bounded,
 * because a few bytes may decode to any number. Whatever does not decode is told apart, and delivered as published.
 * @module
 */
import { pipeline, Readable, type Transform } from "node:stream";
import {
  brotliDecompress,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
  gunzip,
  inflate,
  inflateRaw,
  zstdDecompress,
} from "node:zlib";
import { toStreamError } from "../core/errors.ts";
import type { Headers } from "../core/message.ts";
import { isWholeZstd, ZstdFrames } from "./zstd-frames.ts";

/** A coding that can be undone. */
export type Coding = "gzip" | "deflate" | "br" | "zstd";

/** The header that names codings. */
export const codingHeader = "content-encoding";
/** One after the other on one body; more have no use but to keep a server busy. */
const codingsMax = 3;

const known: ReadonlyMap<string, Coding> = new Map([
  ["gzip", "gzip"],
  ["x-gzip", "gzip"],
  ["deflate", "deflate"],
  ["br", "br"],
  ["zstd", "zstd"],
]);

/** The codings in the order in which they were applied; undefined when there are none, or one that is not known. */
export const codingsOf = (headers: Headers): readonly Coding[] | undefined => {
  const value = headers[codingHeader];
  if (value === undefined) return undefined;
  const codings: Coding[] = [];
  for (const part of value.split(",", codingsMax + 2)) {
    const name = part.trim().toLowerCase();
    if (name === "identity") continue;
    const coding = known.get(name);
    if (coding === undefined) return undefined;
    codings.push(coding);
  }
  return codings.length > 0 && codings.length <= codingsMax ? codings : undefined;
};

/** The headers of the decoded message. */
export const withoutCodings = (headers: Headers): Headers =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name !== codingHeader));

/** A body decoded as a whole; undefined when it does not decode, or is larger than `bytesMax` at any step. */
export const decodeWhole = async (
  body: Uint8Array,
  codings: readonly Coding[],
  bytesMax: number,
): Promise<Uint8Array | undefined> => {
  let bytes = body;
  try {
    for (const coding of codings.toReversed()) bytes = await decodeOnce(bytes, coding, bytesMax);
  } catch {
    return undefined;
  }
  return bytes;
};

/** The body is not what its header says, or too much. */
export class UndecodableError extends Error {
  override readonly name = "UndecodableError";
}

/**
 * A body decoded chunk by chunk. Iterating rejects with `UndecodableError`, or with what the source rejects with.
 * @param bytesMax more than that, at any step, is not decoded
 */
export const decodeStream = (
  source: AsyncIterable<Uint8Array>,
  codings: readonly Coding[],
  bytesMax: number,
): AsyncIterable<Uint8Array> => {
  let chunks = source;
  for (const coding of codings.toReversed()) chunks = atMost(decodedChunks(chunks, coding), bytesMax);
  return chunks;
};

type WholeDecoder = (
  body: Uint8Array,
  options: { readonly maxOutputLength: number },
  done: (error: Error | null, result: Uint8Array) => void,
) => void;

const decodeOnce = async (body: Uint8Array, coding: Coding, bytesMax: number): Promise<Uint8Array> => {
  // What was cut off passes for whole otherwise.
  if (coding === "zstd" && !isWholeZstd(body)) throw new UndecodableError("The frame is not whole.");
  const decode = wholeDecoder(coding, body);
  return new Promise<Uint8Array>((resolve, reject) => {
    decode(body, { maxOutputLength: bytesMax }, (error, result) => (error === null ? resolve(result) : reject(error)));
  });
};

const wholeDecoder = (coding: Coding, body: Uint8Array): WholeDecoder => {
  switch (coding) {
    case "gzip":
      return gunzip;
    case "deflate":
      return isZlib(body) ? inflate : inflateRaw;
    case "br":
      return brotliDecompress;
    case "zstd":
      return zstdDecompress;
  }
};

const chunkDecoder = (coding: Coding, first: Uint8Array): Transform => {
  switch (coding) {
    case "gzip":
      return createGunzip();
    case "deflate":
      return isZlib(first) ? createInflate() : createInflateRaw();
    case "br":
      return createBrotliDecompress();
    case "zstd":
      return createZstdDecompress();
  }
};

/** `deflate` is the zlib format by its definition, and bare by the habit of some. */
const isZlib = (start: Uint8Array): boolean => {
  const [method = 0, flags = 0] = start;
  return (method & 0x0f) === 8 && (method * 256 + flags) % 31 === 0;
};

async function* decodedChunks(source: AsyncIterable<Uint8Array>, coding: Coding): AsyncGenerator<Uint8Array, void> {
  const chunks = source[Symbol.asyncIterator]();
  const first = await firstOf(chunks);
  const frames = coding === "zstd" ? new ZstdFrames() : undefined;
  // Why the source could not be read on.
  const failures: Error[] = [];
  const failed = (thrown: unknown): void => {
    failures.push(thrown instanceof Error ? thrown : toStreamError(thrown));
  };
  const input = Readable.from(seen(first, chunks, frames, failed), { objectMode: false });
  const decoder = chunkDecoder(coding, first);
  // Its failure is the decoder's failure, and comes out where the decoder is read.
  pipeline(input, decoder, () => undefined);
  try {
    for await (const chunk of decoder) yield chunk as Uint8Array;
  } catch (thrown) {
    throw failures[0] ?? new UndecodableError("The bytes are not what the header says.", { cause: thrown });
  } finally {
    decoder.destroy();
    input.destroy();
  }
  if (failures[0] !== undefined) throw failures[0];
  if (frames?.isWhole === false) throw new UndecodableError("The frame is not whole.");
}

/** At least two bytes of the beginning, unless there are fewer. */
const firstOf = async (chunks: AsyncIterator<Uint8Array, unknown>): Promise<Uint8Array> => {
  let first: Uint8Array = new Uint8Array(0);
  while (first.length < 2) {
    const next = await chunks.next();
    if (next.done === true) return first;
    first = first.length === 0 ? next.value : Buffer.concat([first, next.value]);
  }
  return first;
};

/** What is given to the decoder, watched on its way. */
async function* seen(
  first: Uint8Array,
  rest: AsyncIterator<Uint8Array, unknown>,
  frames: ZstdFrames | undefined,
  failed: (thrown: unknown) => void,
): AsyncGenerator<Uint8Array, void> {
  try {
    frames?.see(first);
    yield first;
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) {
      frames?.see(next.value);
      yield next.value;
    }
  } catch (thrown) {
    failed(thrown);
    throw thrown;
  } finally {
    await rest.return?.();
  }
}

async function* atMost(chunks: AsyncIterable<Uint8Array>, bytesMax: number): AsyncGenerator<Uint8Array, void> {
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new UndecodableError("It decodes to more than a body may have.");
    yield chunk;
  }
}
