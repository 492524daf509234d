/**
 * What a pointer must do: lead to one body and to nothing else.
 * @module
 */
import { expect, test } from "bun:test";
import * as zlib from "node:zlib";
import type { BodyRef } from "../../core/message.ts";
import type { BodyPointer } from "../../core/pointer.ts";
import { type AddressAnswer, follow } from "./addresses.ts";
import {
  type BodiesUnderTest,
  chunksOf,
  expectBytes,
  patternBytes,
  sha256Of,
  storedBytesOf,
  writeBodies,
  writeLarge,
} from "./kit.ts";

const validMs = 60_000;

/** The body as it was published, out of an answer to a pointer. */
export const bodyOf = (pointer: BodyPointer, { isOk, bytes }: AddressAnswer): Uint8Array => {
  expect(isOk).toBe(true);
  expect(bytes).toHaveLength(pointer.length);
  return pointer.contentEncoding === "zstd" ? zlib.zstdDecompressSync(bytes) : bytes;
};

/** Another text of the same length: the last character but one is another. */
const changed = (text: string): string => {
  const at = text.length - 2;
  return text.slice(0, at) + (text[at] === "0" ? "1" : "0") + text.slice(at + 1);
};

/** Registers the cases. */
export const pointerCases = (opened: () => BodiesUnderTest): void => {
  test("a pointer gives the bytes of its body: out of a segment, and of an object of its own", async () => {
    const { store } = opened();
    const bodies = [1000, 70_000, 1].map((length, seed) => patternBytes(length, seed));
    bodies.push(patternBytes(3_000_000, 9));
    const refs = await writeBodies(store, bodies.slice(0, 3));
    refs.push(await writeLarge(store, chunksOf(bodies.slice(3))));
    const before = Date.now();
    for (const [index, ref] of refs.entries()) {
      const pointer = await store.pointer(ref, validMs);
      const { offset, length, size, sha256, contentEncoding } = pointer;
      expect({ offset, length, size }).toEqual({ offset: ref.offset, length: storedBytesOf(ref), size: ref.length });
      expectBytes(sha256, ref.sha256);
      expect(contentEncoding).toBe(ref.storedLength === undefined ? undefined : "zstd");
      expect(pointer.key.endsWith(ref.object)).toBe(true);
      // S3 counts in whole seconds.
      expect(pointer.expiresAtMs).toBeGreaterThan(before + validMs - 1001);
      expect(pointer.expiresAtMs).toBeLessThanOrEqual(Date.now() + validMs + 1000);
      expectBytes(bodyOf(pointer, await follow(opened(), pointer)), bodies[index] ?? new Uint8Array(0));
    }
  });

  test("the pointer to an empty body gives nothing", async () => {
    const { store } = opened();
    const empty: BodyRef = { object: "", offset: 0, length: 0, sha256: sha256Of(new Uint8Array(0)) };
    expect(
      bodyOf(await store.pointer(empty, validMs), await follow(opened(), await store.pointer(empty, validMs))),
    ).toEqual(new Uint8Array(0));
  });

  test("an address that was changed anywhere near its end is refused", async () => {
    const { store } = opened();
    const [ref] = await writeBodies(store, [patternBytes(1000, 1)]);
    if (ref === undefined) throw new Error("There is one.");
    const { url, headers } = await store.pointer(ref, validMs);
    expect((await follow(opened(), { url: changed(url), headers })).isOk).toBe(false);
    expect((await follow(opened(), { url: url.slice(0, -1), headers })).isOk).toBe(false);
    expect((await follow(opened(), { method: "PUT", url, headers, body: new Uint8Array(10) })).isOk).toBe(false);
    expect((await follow(opened(), { url, headers })).isOk).toBe(true);
  });

  test("the address of a body that is gone is an error, never other bytes", async () => {
    const { store } = opened();
    const ref = await writeLarge(store, chunksOf([patternBytes(300_000, 1)]));
    const pointer = await store.pointer(ref, validMs);
    await store.remove([ref.object]);
    expect((await follow(opened(), pointer)).isOk).toBe(false);
  });
};
