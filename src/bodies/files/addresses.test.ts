/**
 * Signed addresses that the server serves itself: how long they work, for what, and the secret that they are made with.
 * @module
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseSubject } from "../../core/subject.ts";
import { follow } from "../cases/addresses.ts";
import { chunksOf, codeOf, expectBytes, MiB, patternBytes, rejectionOf, sha256Of, writeBodies } from "../cases/kit.ts";
import type { BodyStore, SignedAddresses } from "../contract.ts";
import { openFileBodies } from "./index.ts";

const validMs = 60_000;
const subject = parseSubject("orders.eu");
const body = patternBytes(3 * MiB, 1);
const claim = { subject, length: body.length, sha256: sha256Of(body) };

let path: string;
let nowMs: number;
let store: BodyStore;
let addresses: SignedAddresses;
const open = async (): Promise<void> => {
  store = await openFileBodies({ path, nowMs: () => nowMs });
  if (store.addresses === undefined) throw new Error("Files have addresses of their own.");
  ({ addresses } = store);
};
beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), "mts-addresses-"));
  nowMs = Date.now();
  await open();
});
afterEach(async () => {
  await store.close();
  await rm(path, { recursive: true });
});

const tokenOf = (url: string | undefined): string => url?.slice("/v1/bodies/".length) ?? "";
const secretPath = (): string => join(path, "address-secret");
/** Files that are not whole. */
const parts = (): Promise<readonly string[]> => readdir(join(path, "tmp"));

describe("addresses", () => {
  test("they work until they end, to the millisecond, and for their own method", async () => {
    const [ref] = await writeBodies(store, [patternBytes(1000, 1)]);
    if (ref === undefined) throw new Error("There is one.");
    const token = tokenOf((await store.pointer(ref, validMs)).url);
    const upload = await store.openUpload(claim, validMs, false);
    const putting = tokenOf(upload.requests[0]?.url);
    expect(codeOf(await rejectionOf(addresses.read(putting)))).toBe("permission_denied");
    expect(codeOf(await rejectionOf(addresses.write(token, chunksOf([body]))))).toBe("permission_denied");
    nowMs += validMs - 1;
    expect((await addresses.read(token)).length).toBe(1000);
    await addresses.write(putting, chunksOf([body]));
    await store.takeUpload(claim, upload.key);
    nowMs += 1;
    expect(codeOf(await rejectionOf(addresses.read(token)))).toBe("permission_denied");
    expect(codeOf(await rejectionOf(addresses.write(putting, chunksOf([body]))))).toBe("permission_denied");
    expect(codeOf(await rejectionOf(store.takeUpload(claim, upload.key)))).toBe("upload_not_found");
    expect(codeOf(await rejectionOf(store.completeUpload(claim, upload.key)))).toBe("upload_not_found");
  });

  test("what is not signed here is refused, whatever it looks like", async () => {
    const [ref] = await writeBodies(store, [patternBytes(1000, 1), patternBytes(1000, 2)]);
    if (ref === undefined) throw new Error("There are two.");
    const token = tokenOf((await store.pointer(ref, validMs)).url);
    const [fields = "", mac = ""] = token.split(".");
    const text = Buffer.from(fields, "base64url").toString();
    const wider = Buffer.from(text.replace(/1000\]$/, "2000]")).toString("base64url");
    expect(wider).not.toBe(fields);
    for (const wrong of ["", ".", "..", fields, `${fields}.`, `${wider}.${mac}`, `${token}x`, "x".repeat(100_000)]) {
      expect(codeOf(await rejectionOf(addresses.read(wrong)))).toBe("permission_denied");
      expect(codeOf(await rejectionOf(addresses.write(wrong, chunksOf([body]))))).toBe("permission_denied");
    }
    expect((await addresses.read(token)).length).toBe(1000);
  });

  test("they outlive the process, and end with the secret", async () => {
    const [ref] = await writeBodies(store, [patternBytes(1000, 1)]);
    if (ref === undefined) throw new Error("There is one.");
    const { url } = await store.pointer(ref, validMs);
    await store.close();
    await open();
    expectBytes((await follow({ store }, { url })).bytes, patternBytes(1000, 1));
    await store.close();
    await rm(secretPath());
    await open();
    expect((await follow({ store }, { url })).code).toBe("permission_denied");
  });
});

describe("the secret", () => {
  test("is made when the first address is, for this user alone", async () => {
    const [ref] = await writeBodies(store, [patternBytes(1000, 1)]);
    if (ref === undefined) throw new Error("There is one.");
    expect(await readdir(path)).not.toContain("address-secret");
    await Promise.all([store.pointer(ref, validMs), store.openUpload(claim, validMs, false)]);
    const { mode, size } = await stat(secretPath());
    expect([mode & 0o777, size]).toEqual([0o600, 32]);
    expect((await Array.fromAsync(store.list())).flat().map(({ object }) => object)).toEqual([ref.object]);
  });

  test("that is only a part of one is made anew", async () => {
    await writeFile(secretPath(), "short");
    await store.openUpload(claim, validMs, false);
    expect(await readFile(secretPath())).toHaveLength(32);
  });

  test("that cannot be read is an error, and looked for again", async () => {
    await rm(path, { recursive: true });
    await writeFile(path, "");
    expect(codeOf(await rejectionOf(store.openUpload(claim, validMs, false)))).toBe("unavailable");
    await rm(path);
    await mkdir(path);
    expect((await store.openUpload(claim, validMs, false)).requests).toHaveLength(1);
  });
});

describe("uploads", () => {
  test("more than was announced is not read to its end", async () => {
    const upload = await store.openUpload(claim, validMs, false);
    let chunks = 0;
    const endless = async function* (): AsyncIterable<Uint8Array> {
      for (; chunks < 1000; chunks++) yield await Promise.resolve(new Uint8Array(MiB));
    };
    const thrown = await rejectionOf(addresses.write(tokenOf(upload.requests[0]?.url), endless()));
    expect(codeOf(thrown)).toBe("upload_mismatch");
    expect(chunks).toBeLessThan(10);
    expect(await parts()).toEqual([]);
  });

  test("a client that goes away, and a source that fails, leave nothing", async () => {
    const token = tokenOf((await store.openUpload(claim, validMs, false)).requests[0]?.url);
    const broken = new Error("the client has gone");
    const failing = async function* (): AsyncIterable<Uint8Array> {
      yield await Promise.resolve(body.subarray(0, MiB));
      throw broken;
    };
    expect(await rejectionOf(addresses.write(token, failing()))).toBe(broken);
    const gone = new AbortController();
    const silent = async function* (): AsyncIterable<Uint8Array> {
      yield await Promise.resolve(body.subarray(0, MiB));
      queueMicrotask(() => gone.abort(broken));
      await new Promise(() => undefined);
    };
    expect(await rejectionOf(addresses.write(token, silent(), gone.signal))).toBe(broken);
    expect(await parts()).toEqual([]);
    expect((await Array.fromAsync(store.list())).flat()).toEqual([]);
  });

  test("bytes that were changed on the disk are found out before they are published", async () => {
    const upload = await store.openUpload(claim, validMs, false);
    await addresses.write(tokenOf(upload.requests[0]?.url), chunksOf([body]));
    await writeFile(join(path, upload.key), patternBytes(body.length, 2));
    expect(codeOf(await rejectionOf(store.takeUpload(claim, upload.key)))).toBe("upload_mismatch");
    await writeFile(join(path, upload.key), body.subarray(1));
    expect(codeOf(await rejectionOf(store.takeUpload(claim, upload.key)))).toBe("upload_mismatch");
  });

  test("a closed store opens no uploads and takes none", async () => {
    const upload = await store.openUpload(claim, validMs, false);
    await store.close();
    expect(codeOf(await rejectionOf(store.openUpload(claim, validMs, false)))).toBe("unavailable");
    const token = tokenOf(upload.requests[0]?.url);
    expect(codeOf(await rejectionOf(addresses.write(token, chunksOf([body]))))).toBe("unavailable");
    await open();
  });
});
