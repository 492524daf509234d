/**
 * A msgpack writer that can also write what no honest client would: lengths and counts that are wrong, types that the
 * contract does not have, keys that are no strings. Values are plain ones, and the classes here.
 * @module
 */

/** Bytes that stand in the output as they are. */
export class RawBytes {
  constructor(readonly bytes: Uint8Array) {}
}

/** A map whose head claims another count than it has entries. */
export class LyingMap {
  constructor(
    readonly fields: Readonly<Record<string, unknown>>,
    readonly claimed: number,
  ) {}
}

/** A list whose head claims another count than it has items. */
export class LyingList {
  constructor(
    readonly items: readonly unknown[],
    readonly claimed: number,
  ) {}
}

/** Writes one value. */
export const packLoosely = (value: unknown): Buffer => Buffer.concat(parts(value));

const head = (count: number, fix: number, fixMax: number, wide: number): Buffer => {
  if (count <= fixMax) return Buffer.from([fix | count]);
  const bytes = Buffer.alloc(5);
  bytes[0] = wide;
  bytes.writeUInt32BE(count >>> 0, 1);
  return bytes;
};

const parts = (value: unknown): Buffer[] => {
  if (value === null || value === undefined) return [Buffer.from([0xc0])];
  if (typeof value === "boolean") return [Buffer.from([value ? 0xc3 : 0xc2])];
  if (typeof value === "number") return [number(value)];
  if (typeof value === "bigint") return [bigint(value)];
  if (typeof value === "string") return text(value);
  if (value instanceof RawBytes) return [Buffer.from(value.bytes)];
  if (value instanceof Uint8Array) {
    const size = Buffer.alloc(5);
    size[0] = 0xc6;
    size.writeUInt32BE(value.length, 1);
    return [size, Buffer.from(value)];
  }
  if (value instanceof LyingList) return [head(value.claimed, 0x90, 15, 0xdd), ...value.items.flatMap(parts)];
  if (Array.isArray(value)) return [head(value.length, 0x90, 15, 0xdd), ...(value as unknown[]).flatMap(parts)];
  const map = value instanceof LyingMap ? value : undefined;
  const entries = Object.entries(map?.fields ?? value);
  return [
    head(map?.claimed ?? entries.length, 0x80, 15, 0xdf),
    ...entries.flatMap(([key, item]) => [...text(key), ...parts(item)]),
  ];
};

const text = (value: string): Buffer[] => {
  const bytes = Buffer.from(value, "utf8");
  return [head(bytes.length, 0xa0, 31, 0xdb), bytes];
};

const number = (value: number): Buffer => {
  if (Number.isInteger(value) && value >= 0 && value < 0x80) return Buffer.from([value]);
  if (Number.isSafeInteger(value)) return bigint(BigInt(value));
  const bytes = Buffer.alloc(9);
  bytes[0] = 0xcb;
  bytes.writeDoubleBE(value, 1);
  return bytes;
};

const bigint = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(9);
  bytes[0] = value < 0n ? 0xd3 : 0xcf;
  bytes.writeBigUInt64BE(BigInt.asUintN(64, value), 1);
  return bytes;
};
