/**
 * The writing half: packs bodies where it pays, body by body, so that each can be read alone.
 * @module
 */
import type { BodyRef } from "../../core/message.ts";
import { chunksOf } from "../chunks.ts";
import type { BodyStore, Placement, WriteKind } from "../contract.ts";
import { untilAborted } from "../until-aborted.ts";
import { pack, packNow, packStream, packsNow } from "./zstd.ts";

/** Smaller ones are left as they are: they save little, and packing costs 5 µs whatever the size. */
const bodyBytesMin = 512;
/** Of a larger body this much tells whether the rest is worth the work. */
const sampleBytes = 64 * 1024;
/** In memory and not larger: packed at once, on another thread; larger ones in a stream. */
const wholeBytesMax = 16 * 1024 * 1024;
/** Packed on the event loop's thread, in about 1.5 ms, before others get their turn. */
const turnBytesMax = 256 * 1024;
/** Hashed at a time; this much takes 0.6 ms. */
const pieceBytesMax = 1024 * 1024;

/** See the module. */
export class CompressingWriter {
  readonly #store: BodyStore;
  readonly #savingMin: number;

  /** @param savingMin part of a body's bytes that has to be saved, else it is left as it is */
  constructor(store: BodyStore, savingMin: number) {
    this.#store = store;
    this.#savingMin = savingMin;
  }

  /** See `BodyStore.writeSegment`. */
  async writeSegment(bodies: readonly Uint8Array[], kind?: WriteKind): Promise<readonly Placement[]> {
    const stored = await this.#packed(bodies);
    const placements = await this.#store.writeSegment(stored, kind);
    return placements.map((placement, index) => {
      const bytes = stored[index];
      // The same array: it was left as it is.
      return bytes === undefined || bytes === bodies[index] ? placement : { ...placement, storedLength: bytes.length };
    });
  }

  /** See `BodyStore.writeObject`. */
  async writeObject(body: AsyncIterable<Uint8Array> | Uint8Array, signal?: AbortSignal): Promise<BodyRef> {
    if (!(body instanceof Uint8Array)) return this.#writeStream(body, signal);
    if (body.length > wholeBytesMax) return this.#writeStream(chunksOf(body), signal);
    signal?.throwIfAborted();
    const stored = body.length < bodyBytesMin ? body : await this.#packedAlone(body);
    if (stored === body) return this.#store.writeObject(body, signal);
    const [written, sha256] = await Promise.all([
      this.#store.writeObject(stored, signal),
      crypto.subtle.digest("SHA-256", plain(body)),
    ]);
    return { ...written, length: body.length, sha256: new Uint8Array(sha256), storedLength: written.length };
  }

  /** What is written of each body. Small ones are packed here and now, the others together on other threads. */
  async #packed(bodies: readonly Uint8Array[]): Promise<readonly Uint8Array[]> {
    const stored = [...bodies];
    const large: number[] = [];
    let turnBytes = 0;
    for (const [index, body] of bodies.entries()) {
      if (body.length < bodyBytesMin) continue;
      if (!packsNow(body.length)) {
        large.push(index);
        continue;
      }
      if (turnBytes > turnBytesMax) {
        turnBytes = 0;
        await new Promise((resolve) => setImmediate(resolve));
      }
      turnBytes += body.length;
      stored[index] = this.#better(body, packNow(body));
    }
    const packOne = async (index: number): Promise<void> => {
      const body = bodies[index];
      if (body !== undefined) stored[index] = await this.#packedAlone(body);
    };
    await Promise.all(large.map(packOne));
    return stored;
  }

  async #packedAlone(body: Uint8Array): Promise<Uint8Array> {
    if (body.length > 2 * sampleBytes && !(await this.#pays(body.subarray(0, sampleBytes)))) return body;
    return this.#better(body, packsNow(body.length) ? packNow(body) : await pack(body, sizeOf(body)));
  }

  async #pays(sample: Uint8Array): Promise<boolean> {
    const packed = packsNow(sample.length) ? packNow(sample) : await pack(sample, "small");
    return this.#better(sample, packed) !== sample;
  }

  #better(body: Uint8Array, packed: Uint8Array): Uint8Array {
    return packed.length <= body.length * (1 - this.#savingMin) ? packed : body;
  }

  async #writeStream(body: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined): Promise<BodyRef> {
    const source = new Sampled(untilAborted(body, signal));
    const sample = await source.sample(sampleBytes);
    if (source.hasEnded) return this.writeObject(sample, signal);
    if (!(await this.#pays(sample))) return this.#store.writeObject(source.all(), signal);
    const sum = new Sum();
    const written = await this.#store.writeObject(packStream(sum.of(source.all())), signal);
    return { ...written, length: sum.bytes, sha256: sum.digest(), storedLength: written.length };
  }
}

const sizeOf = (body: Uint8Array): "small" | "large" => (body.length < 4 * sampleBytes ? "small" : "large");

/** A source whose first bytes are looked at before they are used. */
class Sampled {
  readonly #source: AsyncIterator<Uint8Array>;
  #first: Uint8Array = new Uint8Array(0);
  #rest: Uint8Array | undefined;
  hasEnded = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** The first bytes, fewer than that when the source has no more. */
  async sample(bytesMax: number): Promise<Uint8Array> {
    const buffer = new Uint8Array(bytesMax);
    let length = 0;
    while (length < bytesMax) {
      const next = await this.#source.next();
      if (next.done === true) {
        this.hasEnded = true;
        break;
      }
      const taken = next.value.subarray(0, bytesMax - length);
      buffer.set(taken, length);
      length += taken.length;
      // The source may use its buffer again only when it is asked for more.
      if (taken.length < next.value.length) this.#rest = next.value.subarray(taken.length);
    }
    this.#first = buffer.subarray(0, length);
    return this.#first;
  }

  /** All of it, the first bytes included. */
  async *all(): AsyncGenerator<Uint8Array> {
    try {
      yield this.#first;
      if (this.#rest !== undefined) yield this.#rest;
      for (let next = await this.#source.next(); next.done !== true; next = await this.#source.next()) yield next.value;
    } finally {
      this.#source.return?.().catch(() => undefined);
    }
  }
}

/** Length and checksum of what passes, in pieces that do not hold others up. */
class Sum {
  bytes = 0;
  readonly #hasher = new Bun.CryptoHasher("sha256");

  async *of(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      for (let start = 0; start < chunk.length; start += pieceBytesMax) {
        const piece = chunk.subarray(start, start + pieceBytesMax);
        this.#hasher.update(piece);
        this.bytes += piece.length;
        yield piece;
      }
    }
  }

  digest(): Uint8Array {
    return new Uint8Array(this.#hasher.digest());
  }
}

/** A view of plain memory, which is what Web Crypto's types ask for; nothing is copied here. */
const plain = (bytes: Uint8Array): Uint8Array<ArrayBuffer> =>
  bytes.buffer instanceof ArrayBuffer
    ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    : new Uint8Array(bytes);
