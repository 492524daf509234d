/**
 * What uploads must do: take the body that was announced, for the subject that it was announced for, and nothing else.
 * @module
 */
import { expect, test } from "bun:test";
import type { Upload, UploadClaim } from "../../core/pointer.ts";
import { parseSubject } from "../../core/subject.ts";
import type { BodyStore } from "../contract.ts";
import { type AddressAnswer, follow } from "./addresses.ts";
import { type BodiesUnderTest, codeOf, collect, expectBytes, patternBytes, rejectionOf, sha256Of } from "./kit.ts";

const validMs = 60_000;
const subject = parseSubject("orders.eu");

const claimOf = (body: Uint8Array): UploadClaim => ({ subject, length: body.length, sha256: sha256Of(body) });

/** Puts a body as the upload asks for it. */
export const put = async (
  opened: Pick<BodiesUnderTest, "store" | "send">,
  upload: Upload,
  body: Uint8Array,
): Promise<readonly AddressAnswer[]> =>
  Promise.all(
    upload.requests.map(({ url, headers, offset, length }) =>
      follow(opened, { method: "PUT", url, headers, body: body.subarray(offset, offset + length) }),
    ),
  );

const listedOf = async (store: BodyStore): Promise<ReadonlyMap<string, { bytes: number; modifiedAtMs: number }>> =>
  new Map((await Array.fromAsync(store.list())).flat().map(({ object, ...rest }) => [object, rest]));

/** Registers the cases. */
export const uploadCases = (opened: () => BodiesUnderTest): void => {
  test("an upload is put and taken, by another process too, and is an object like any other", async () => {
    const { store } = opened();
    const body = patternBytes(700_000, 1);
    const claim = claimOf(body);
    const upload = await store.openUpload(claim, validMs, false);
    expect(upload.multipart).toBe(false);
    expect(upload.requests.map(({ offset, length }) => ({ offset, length }))).toEqual([{ offset: 0, length: 700_000 }]);
    expect((await put(opened(), upload, body)).map(({ isOk }) => isOk)).toEqual([true]);
    const other = await opened().reopen();
    for (const taker of [store, other]) {
      await taker.completeUpload(claim, upload.key);
      const ref = await taker.takeUpload(claim, upload.key);
      expect([ref.offset, ref.length]).toEqual([0, body.length]);
      expectBytes(ref.sha256, claim.sha256);
      expectBytes((await taker.read([ref]))[0], body);
      expectBytes(await collect(taker.stream(ref, { start: 10, end: 600_000 })), body.subarray(10, 600_000));
      expect(await taker.size(ref.object)).toBe(body.length);
      // Until it expires it may still be published, so that it counts as new.
      expect((await listedOf(taker)).get(ref.object)).toEqual({
        bytes: body.length,
        modifiedAtMs: expect.any(Number) as number,
      });
      expect((await listedOf(taker)).get(ref.object)?.modifiedAtMs).toBeGreaterThanOrEqual(upload.expiresAtMs);
    }
    const { object } = await store.takeUpload(claim, upload.key);
    expect(await store.remove([object])).toEqual([]);
    expect((await listedOf(store)).size).toBe(0);
    expect(codeOf(await rejectionOf(store.takeUpload(claim, upload.key)))).toBe("upload_not_found");
  });

  test("an upload in parts, put in any order, joined twice", async () => {
    const { store } = opened();
    const body = patternBytes(18_000_001, 2);
    const claim = claimOf(body);
    const upload = await store.openUpload(claim, validMs, true);
    const ends = upload.requests.map(({ offset, length }) => offset + length);
    expect(upload.requests.map(({ offset }) => offset)).toEqual([0, ...ends.slice(0, -1)]);
    expect(ends.at(-1)).toBe(body.length);
    const requests = upload.requests.toReversed();
    if (upload.multipart) {
      // One part is missing.
      await put(opened(), { ...upload, requests: requests.slice(1) }, body);
      expect(codeOf(await rejectionOf(store.completeUpload(claim, upload.key)))).toBe("upload_mismatch");
      expect(codeOf(await rejectionOf(store.takeUpload(claim, upload.key)))).toBe("upload_not_found");
    }
    for (const { isOk } of await put(opened(), { ...upload, requests }, body)) expect(isOk).toBe(true);
    await store.completeUpload(claim, upload.key);
    await store.completeUpload(claim, upload.key);
    const ref = await store.takeUpload(claim, upload.key);
    expectBytes(await collect(store.stream(ref)), body);
  });

  test("parts of another body are found out when it is taken", async () => {
    const { store } = opened();
    const body = patternBytes(9_000_000, 3);
    const claim = claimOf(body);
    const upload = await store.openUpload(claim, validMs, true);
    const answers = await put(opened(), upload, patternBytes(9_000_000, 4));
    if (!upload.multipart) {
      expect(answers.map(({ isOk }) => isOk)).toEqual([false]);
      return;
    }
    await store.completeUpload(claim, upload.key);
    expect(codeOf(await rejectionOf(store.takeUpload(claim, upload.key)))).toBe("upload_mismatch");
  });

  test("a small body needs no parts", async () => {
    const { store } = opened();
    const upload = await store.openUpload(claimOf(patternBytes(1000, 1)), validMs, true);
    expect([upload.multipart, upload.requests.length]).toEqual([false, 1]);
  });

  test("another body than was announced is not stored", async () => {
    const { store } = opened();
    const body = patternBytes(5000, 1);
    const claim = claimOf(body);
    const upload = await store.openUpload(claim, validMs, false);
    for (const wrong of [patternBytes(5000, 2), patternBytes(5001, 1), patternBytes(4999, 1), new Uint8Array(0)]) {
      const requests = upload.requests.map((request) => ({ ...request, length: wrong.length }));
      // A client that keeps to the headers cannot send another length, one that does not has another signature.
      const headers = { ...upload.requests[0]?.headers, "content-length": String(wrong.length) };
      const sent = requests.map((request) => ({ ...request, headers }));
      expect((await put(opened(), { ...upload, requests: sent }, wrong)).map(({ isOk }) => isOk)).toEqual([false]);
      expect(codeOf(await rejectionOf(store.takeUpload(claim, upload.key)))).toBe("upload_not_found");
    }
    expect((await listedOf(store)).size).toBe(0);
    expect((await put(opened(), upload, body)).map(({ isOk }) => isOk)).toEqual([true]);
    // Again is fine.
    expect((await put(opened(), upload, body)).map(({ isOk }) => isOk)).toEqual([true]);
    expectBytes((await store.read([await store.takeUpload(claim, upload.key)]))[0], body);
  });

  test("an upload serves the subject and the body that it was opened for, and a made-up one nobody", async () => {
    const { store } = opened();
    const body = patternBytes(5000, 1);
    const claim = claimOf(body);
    const upload = await store.openUpload(claim, validMs, false);
    await put(opened(), upload, body);
    const flipped = upload.key.slice(0, -1) + (upload.key.endsWith("0") ? "1" : "0");
    const large = await store.writeObject(patternBytes(300_000, 5));
    const refused: readonly (readonly [UploadClaim, string, string])[] = [
      [{ ...claim, subject: parseSubject("orders.us") }, upload.key, "upload_not_found"],
      [{ ...claim, length: 4999 }, upload.key, "upload_mismatch"],
      [{ ...claim, sha256: sha256Of(new Uint8Array(1)) }, upload.key, "upload_mismatch"],
      [claim, flipped, "upload_mismatch"],
      [claim, `x${upload.key}`, "upload_not_found"],
      [claim, `${upload.key}/..`, "upload_not_found"],
      [claim, "", "upload_not_found"],
      [claim, large.object, "upload_not_found"],
      [claim, upload.key.replace(/u\/./, (front) => (front === "u/z" ? "u/y" : "u/z")), "upload_not_found"],
    ];
    for (const [asked, key, code] of refused) {
      expect([key, codeOf(await rejectionOf(store.takeUpload(asked, key)))]).toEqual([key, code]);
      expect([key, codeOf(await rejectionOf(store.completeUpload(asked, key)))]).toEqual([key, code]);
    }
    expectBytes((await store.read([await store.takeUpload(claim, upload.key)]))[0], body);
  });

  test("every upload has a name of its own", async () => {
    const { store } = opened();
    const claim = claimOf(patternBytes(10, 1));
    const uploads = await Promise.all(Array.from({ length: 50 }, () => store.openUpload(claim, validMs, false)));
    expect(new Set(uploads.map(({ key }) => key)).size).toBe(50);
    expect(codeOf(await rejectionOf(store.takeUpload(claim, uploads[0]?.key ?? "")))).toBe("upload_not_found");
    expect(codeOf(await rejectionOf(store.completeUpload(claim, uploads[0]?.key ?? "")))).toBe("upload_not_found");
  });
};
