/**
 * Bytes as text.
 * @module
 */

/** The same bytes as a Buffer. */
export const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Lower-case hex of a checksum. */
export const hex = (bytes: Uint8Array): string => asBuffer(bytes).toString("hex");

/** Standard base64 with padding. */
export const base64 = (bytes: Uint8Array): string => asBuffer(bytes).toString("base64");
