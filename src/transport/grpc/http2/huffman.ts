/**
 * Decodes the Huffman code of RFC 7541, four bits at a time.
 * @module
 */
import { ConnectionError } from "./errors.ts";
import { huffmanLengths } from "./hpack-tables.ts";

const bitsMax = 30;

interface Tree {
  /** Two children a node: above 0 the next node, below 0 the byte -value - 1, 0 nothing. */
  readonly children: Int32Array;
  /** How many ones lead to the node; -1 where another bit was among them. Only ones may pad the end. */
  readonly ones: Int8Array;
}

const buildTree = (): Tree => {
  const children = new Int32Array(2 * 512);
  const ones = new Int8Array(512).fill(-1);
  ones[0] = 0;
  let nodes = 1;
  const insert = (code: number, length: number, leaf: number): void => {
    let node = 0;
    for (let bit = length - 1; bit >= 0; bit--) {
      const slot = 2 * node + ((code >>> bit) & 1);
      if (bit === 0) {
        children[slot] = leaf;
        return;
      }
      let next = children[slot] ?? 0;
      if (next === 0) {
        next = nodes++;
        children[slot] = next;
        const before = ones[node] ?? -1;
        ones[next] = before >= 0 && slot % 2 === 1 ? before + 1 : -1;
      }
      node = next;
    }
  };
  let code = 0;
  for (let length = 1; length <= bitsMax; length++) {
    for (const [byte, bits] of huffmanLengths.entries()) {
      if (bits === length) insert(code++, length, -byte - 1);
    }
    code = (code << 1) >>> 0;
  }
  return { children, ones };
};

const { children, ones } = buildTree();
const paddingBitsMax = 7;

/**
 * @param bytesMax longest result
 * @throws ConnectionError COMPRESSION_ERROR, also for padding that is not the beginning of EOS, or too long
 */
export const decodeHuffman = (bytes: Buffer, bytesMax: number): string => {
  // Codes have five bits at least.
  const out = Buffer.allocUnsafe(Math.min(Math.ceil((bytes.length * 8) / 5), bytesMax));
  let length = 0;
  let node = 0;
  let depth = 0;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      const next = children[2 * node + ((byte >>> bit) & 1)] ?? 0;
      if (next === 0) throw new ConnectionError("COMPRESSION_ERROR", "A Huffman code is unknown.");
      depth++;
      if (next > 0) {
        node = next;
        continue;
      }
      if (length === bytesMax) throw new ConnectionError("ENHANCE_YOUR_CALM", "A header is too long.");
      out[length++] = -next - 1;
      node = 0;
      depth = 0;
    }
  }
  if (depth > paddingBitsMax || (ones[node] ?? -1) < 0) {
    throw new ConnectionError("COMPRESSION_ERROR", "A Huffman string is padded wrongly.");
  }
  return out.toString("latin1", 0, length);
};
