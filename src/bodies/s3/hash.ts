/**
 * SHA-256 of what is sent.
 * @module
 */

/** From here on the hop to another thread costs less than hashing, which takes 0.6 ms a MiB. */
const otherThreadBytesMin = 64 * 1024;

/** SHA-256 in hex; large inputs are hashed on another thread, the input must not change meanwhile. */
export const sha256Hex = async (bytes: Uint8Array): Promise<string> => {
  if (bytes.length < otherThreadBytesMin) return Bun.SHA256.hash(bytes, "hex");
  // A view of plain memory, which is what Web Crypto's types ask for; nothing is copied here.
  return Buffer.from(await crypto.subtle.digest("SHA-256", plain(bytes))).toString("hex");
};

const plain = (bytes: Uint8Array): Uint8Array<ArrayBuffer> =>
  bytes.buffer instanceof ArrayBuffer
    ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    : new Uint8Array(bytes);
