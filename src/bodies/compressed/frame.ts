/**
 * One whole Zstandard frame, looked at before it is unpacked: what a damaged one would ask for in memory must be known
 * first.
 * https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1
 * @module
 */

const magic = 0xfd2fb528;
/** Bytes of the content size by its flag; 0 is one byte in a frame of a single segment, else none. */
const sizeBytes = [0, 2, 4, 8] as const;

/** Bytes that the frame says it unpacks to, when it is one frame from end to end and says so; else undefined. */
export const contentBytesOf = (bytes: Uint8Array): number | undefined => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 9 || view.getUint32(0, true) !== magic) return undefined;
  const descriptor = view.getUint8(4);
  const [isSingle, hasChecksum] = [(descriptor & 0x20) !== 0, (descriptor & 0x04) !== 0];
  // A reserved bit, and dictionaries, which we have none of.
  if ((descriptor & 0x0b) !== 0) return undefined;
  const sizeAt = isSingle ? 5 : 6;
  const flag = descriptor >> 6;
  const length = flag === 0 && isSingle ? 1 : (sizeBytes[flag] ?? 0);
  const start = sizeAt + length;
  if (start + 3 > bytes.length) return undefined;
  const content = contentSize(view, sizeAt, length);
  return endOfBlocks(view, start) + (hasChecksum ? 4 : 0) === bytes.length ? content : undefined;
};

const contentSize = (view: DataView, at: number, length: number): number | undefined => {
  if (length === 1) return view.getUint8(at);
  if (length === 2) return view.getUint16(at, true) + 256;
  if (length === 4) return view.getUint32(at, true);
  return length === 8 ? Number(view.getBigUint64(at, true)) : undefined;
};

/** Where the last block ends; NaN when they do not come to an end. */
const endOfBlocks = (view: DataView, start: number): number => {
  for (let at = start; at + 3 <= view.byteLength; ) {
    const header = view.getUint8(at) | (view.getUint16(at + 1, true) << 8);
    const type = (header >> 1) & 3;
    if (type === 3) return Number.NaN;
    // A repeated byte takes one, whatever it unpacks to.
    at += 3 + (type === 1 ? 1 : header >> 3);
    if ((header & 1) === 1) return at;
  }
  return Number.NaN;
};
