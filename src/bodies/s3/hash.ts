/**
 * SHA-256 of what is sent.
 * @module
 */

/** From here on the hop to another thread costs less than hashing, which takes 0.6 ms a MiB. */
const otherThreadBytesMin = 64 * 1024;

/** SHA-256; large inputs are hashed on another thread, the input must not change meanwhile. */
export const sha256Of = async (bytes: Uint8Array): Promise<Uint8Array> => {
  if (bytes.length < otherThreadBytesMin) return Bun.SHA256.hash(bytes, new Uint8Array(32)) as Uint8Array;
  // A view of plain memory, which is what Web Crypto's types ask for; nothing is copied here.
  return new Uint8Array(await crypto.subtle.digest("SHA-256", plain(bytes)));
};

/** The same in hex, as requests name it. */
export const sha256Hex = async (bytes: Uint8Array): Promise<string> => hexOf(await sha256Of(bytes));

/** A digest in hex. */
export const hexOf = (digest: Uint8Array): string => Buffer.from(digest).toString("hex");

const plain = (bytes: Uint8Array): Uint8Array<ArrayBuffer> =>
  bytes.buffer instanceof ArrayBuffer
    ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    : new Uint8Array(bytes);
