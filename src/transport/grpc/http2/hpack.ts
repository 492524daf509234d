/**
 * HPACK (RFC 7541). The decoder does all of it; the encoder writes literals that enter no table, with the names of the
 * static table where there is one: our answers are short, and a connection keeps no state for them.
 * @module
 */
import { ConnectionError } from "./errors.ts";
import { staticTable } from "./hpack-tables.ts";
import { decodeHuffman } from "./huffman.ts";

/** One header as it came. */
export type HeaderField = readonly [name: string, value: string];

/** What an entry of the dynamic table costs beside its text. */
const entryOverheadBytes = 32;
/** SETTINGS_HEADER_TABLE_SIZE that we leave at its default. */
const tableBytesMax = 4096;
/** One name or value. */
const textBytesMax = 64 * 1024;

const compressionError = (detail: string): ConnectionError => new ConnectionError("COMPRESSION_ERROR", detail);

const fieldBytes = (name: string, value: string): number => name.length + value.length + entryOverheadBytes;

/** Decodes the header blocks of one connection, in their order. */
export class HpackDecoder {
  /** Newest first. */
  #table: HeaderField[] = [];
  #bytes = 0;
  #bytesMax = tableBytesMax;
  #block: Buffer = Buffer.alloc(0);
  #at = 0;

  /**
   * @param bytesMax what the fields may take together; what is beyond is still decoded, because later blocks need the
   *   table, but left out
   * @throws ConnectionError COMPRESSION_ERROR
   */
  decode(block: Buffer, bytesMax: number): { readonly fields: readonly HeaderField[]; readonly isTooLarge: boolean } {
    this.#block = block;
    this.#at = 0;
    const fields: HeaderField[] = [];
    let bytes = 0;
    let begun = false;
    while (this.#at < block.length) {
      const first = block[this.#at] ?? 0;
      if ((first & 0xe0) === 0x20) {
        if (begun) throw compressionError("The table is resized inside a block.");
        this.#resize(this.#integer(5));
        continue;
      }
      begun = true;
      const field = this.#field(first);
      bytes += fieldBytes(field[0], field[1]);
      if (bytes <= bytesMax) fields.push(field);
    }
    return { fields, isTooLarge: bytes > bytesMax };
  }

  #field(first: number): HeaderField {
    if (first >= 0x80) return this.#entry(this.#integer(7));
    const isIndexed = first >= 0x40;
    const index = this.#integer(isIndexed ? 6 : 4);
    const name = index === 0 ? this.#text() : this.#entry(index)[0];
    const field: HeaderField = [name, this.#text()];
    if (isIndexed) this.#add(field);
    return field;
  }

  #entry(index: number): HeaderField {
    const field = index <= staticTable.length ? staticTable[index - 1] : this.#table[index - staticTable.length - 1];
    if (field === undefined) throw compressionError("A header is in no table.");
    return field;
  }

  #add(field: HeaderField): void {
    this.#table.unshift(field);
    this.#bytes += fieldBytes(field[0], field[1]);
    this.#evict();
  }

  #resize(bytes: number): void {
    if (bytes > tableBytesMax) throw compressionError("The table is made larger than it may be.");
    this.#bytesMax = bytes;
    this.#evict();
  }

  #evict(): void {
    while (this.#bytes > this.#bytesMax) {
      const oldest = this.#table.pop();
      if (oldest === undefined) return;
      this.#bytes -= fieldBytes(oldest[0], oldest[1]);
    }
  }

  #integer(prefixBits: number): number {
    const mask = (1 << prefixBits) - 1;
    let value = (this.#block[this.#at++] ?? 0) & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = this.#block[this.#at++];
      if (byte === undefined) throw compressionError("A number is cut off.");
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw compressionError("A number is too large.");
  }

  #text(): string {
    const isHuffman = (this.#block[this.#at] ?? 0) >= 0x80;
    const length = this.#integer(7);
    const end = this.#at + length;
    if (end > this.#block.length) throw compressionError("A text is cut off.");
    const bytes = this.#block.subarray(this.#at, end);
    this.#at = end;
    return isHuffman ? decodeHuffman(bytes, textBytesMax) : bytes.toString("latin1");
  }
}

const staticNames: ReadonlyMap<string, number> = new Map(
  staticTable.map(([name], index): [string, number] => [name, index + 1]).reverse(),
);
const status200 = 8;

const integerBytes = (value: number, prefixBits: number, flags: number): number[] => {
  const mask = (1 << prefixBits) - 1;
  if (value < mask) return [flags | value];
  const bytes = [flags | mask];
  let rest = value - mask;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return bytes;
};

const textParts = (text: string): Buffer => {
  const bytes = Buffer.from(text, "latin1");
  return Buffer.concat([Buffer.from(integerBytes(bytes.length, 7, 0)), bytes]);
};

/** Encodes headers; names must be lower-case, texts are Latin-1. */
export const encodeHeaders = (headers: Readonly<Record<string, string>>): Buffer => {
  const parts: Buffer[] = [];
  for (const name in headers) {
    const value = headers[name] ?? "";
    if (name === ":status" && value === "200") {
      parts.push(Buffer.from([0x80 | status200]));
      continue;
    }
    const index = staticNames.get(name) ?? 0;
    parts.push(Buffer.from(integerBytes(index, 4, 0)));
    if (index === 0) parts.push(textParts(name));
    parts.push(textParts(value));
  }
  return Buffer.concat(parts);
};
