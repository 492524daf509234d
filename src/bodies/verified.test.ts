/**
 * The verified reader over real files that are damaged on purpose.
 * @module
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, readSync, rmSync, truncateSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StreamError } from "../core/errors.ts";
import type { BodyRef, Envelope } from "../core/message.ts";
import { parseSubject } from "../core/subject.ts";
import {
  chunksOf,
  collect,
  expectBytes,
  patternBytes,
  rejectionOf,
  sha256Of,
  writeBodies,
  writeLarge,
} from "./cases.ts";
import type { BodyStore } from "./contract.ts";
import { openFileBodies } from "./files/index.ts";
import { nodeFileIo } from "./files/io.ts";
import { VerifiedBodies } from "./verified.ts";

const MiB = 1024 * 1024;
const subject = parseSubject("orders.new");

const envelopesOf = (refs: readonly BodyRef[]): readonly Envelope[] =>
  refs.map((body, index) => ({ subject, sequence: 100 + index, timestampMs: 1, headers: {}, body }));

const asStream = (opened: Uint8Array | AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> => {
  if (opened instanceof Uint8Array) throw new Error("A body above 1 MiB comes as a stream.");
  return opened;
};

describe("verified bodies", () => {
  let path: string;
  let store: BodyStore;
  let bodies: VerifiedBodies;
  beforeEach(async () => {
    path = mkdtempSync(join(tmpdir(), "mts-verified-"));
    store = await openFileBodies({ path });
    bodies = new VerifiedBodies(store);
  });
  afterEach(async () => {
    await store.close();
    rmSync(path, { recursive: true });
  });

  const flipByte = (ref: BodyRef, at: number): void => {
    const file = openSync(join(path, ref.object), "r+");
    const byte = new Uint8Array(1);
    readSync(file, byte, 0, 1, ref.offset + at);
    writeSync(
      file,
      byte.map((value) => value ^ 1),
      0,
      1,
      ref.offset + at,
    );
    closeSync(file);
  };
  const lossOf = (sequence: number): object => ({ code: "data_loss", fields: { subject, sequence } });

  test("whole bodies come back, the empty one too", async () => {
    const written = [patternBytes(10, 1), patternBytes(5000, 2), patternBytes(3 * MiB, 3)];
    const refs = await writeBodies(store, written);
    const empty: BodyRef = { object: "", offset: 0, length: 0, sha256: sha256Of(new Uint8Array(0)) };
    const results = await bodies.read(envelopesOf([...refs, empty]));
    for (const [index, body] of [...written, new Uint8Array(0)].entries()) expectBytes(results[index], body);
  });

  test.each([0, 512, 1023])("a flipped bit at %d is data_loss of that sequence, the others are whole", async (at) => {
    const written = Array.from({ length: 5 }, (_, seed) => patternBytes(1024, seed));
    const refs = await writeBodies(store, written);
    flipByte(refs[2]!, at);
    const results = await bodies.read(envelopesOf(refs));
    expect(results[2]).toBeInstanceOf(StreamError);
    expect(results[2]).toMatchObject(lossOf(102));
    for (const index of [0, 1, 3, 4]) expectBytes(results[index], written[index]!);
  });

  test("a truncated file is data_loss of what it lost", async () => {
    const written = Array.from({ length: 4 }, (_, seed) => patternBytes(1000, seed));
    const refs = await writeBodies(store, written);
    truncateSync(join(path, refs[0]!.object), 2999);
    const results = await bodies.read(envelopesOf(refs));
    expectBytes(results[1], written[1]!);
    expect(results[2]).toMatchObject(lossOf(102));
    expect(results[3]).toMatchObject(lossOf(103));
  });

  test("what cannot be read now is unavailable, not lost", async () => {
    const [ref] = await writeBodies(store, [patternBytes(10, 1)]);
    const refusing = await openFileBodies({
      path,
      io: { ...nodeFileIo, open: () => Promise.reject(Object.assign(new Error("EMFILE"), { code: "EMFILE" })) },
    });
    const reader = new VerifiedBodies(refusing);
    const unavailable = { code: "unavailable", retryable: true, fields: { subject, sequence: 100 } };
    expect((await reader.read(envelopesOf([ref!])))[0]).toMatchObject(unavailable);
    const large = { ...ref!, length: 2 * MiB };
    expect(await rejectionOf(reader.open(envelopesOf([large])[0]!))).toMatchObject(unavailable);
    await refusing.close();
  });

  test("opens a small body or a range of it, and no range of a damaged one", async () => {
    const body = patternBytes(10_000, 1);
    const [ref] = await writeBodies(store, [body]);
    const envelope = envelopesOf([ref!])[0]!;
    expectBytes((await bodies.open(envelope)) as Uint8Array, body);
    expectBytes((await bodies.open(envelope, { start: 5, end: 50 })) as Uint8Array, body.subarray(5, 50));
    flipByte(ref!, 9999);
    expect(await rejectionOf(bodies.open(envelope, { start: 5, end: 50 }))).toMatchObject(lossOf(100));
  });

  describe("a large body", () => {
    const body = patternBytes(4 * MiB + 99, 7);
    let ref: BodyRef;
    let envelope: Envelope;
    beforeEach(async () => {
      ref = await writeLarge(store, chunksOf([body]));
      envelope = envelopesOf([ref])[0]!;
    });

    test("is streamed, whole or a range of it", async () => {
      expectBytes(await collect(asStream(await bodies.open(envelope))), body);
      const range = { start: MiB - 3, end: 3 * MiB };
      expectBytes(await collect(asStream(await bodies.open(envelope, range))), body.subarray(range.start, range.end));
    });

    test("that is damaged is refused before the first byte, also for a range beside the damage", async () => {
      flipByte(ref, 4 * MiB);
      expect(await rejectionOf(bodies.open(envelope))).toMatchObject(lossOf(100));
      expect(await rejectionOf(bodies.open(envelope, { start: 0, end: 1 }))).toMatchObject(lossOf(100));
      expect((await bodies.read([envelope]))[0]).toMatchObject(lossOf(100));
    });

    test("that is too short is refused before the first byte", async () => {
      truncateSync(join(path, ref.object), ref.length - 1);
      expect(await rejectionOf(bodies.open(envelope))).toMatchObject(lossOf(100));
    });

    test("that changes after it was verified ends in data_loss instead of an end", async () => {
      const stream = asStream(await bodies.open(envelope));
      flipByte(ref, 4 * MiB);
      let bytes = 0;
      const reading = (async () => {
        for await (const chunk of stream) bytes += chunk.length;
      })();
      expect(await rejectionOf(reading)).toMatchObject(lossOf(100));
      expect(bytes).toBeLessThanOrEqual(body.length);
    });
  });
});
