/**
 * Strict reading of what the server sends: every field that a client takes is checked for its type, and raw msgpack
 * is scanned, because a decoder hides whether an integer came as a float.
 * @module
 */
import { createHash } from "node:crypto";

/** The reply breaks the contract; the test fails. */
export class ContractError extends Error {
  override readonly name = "ContractError";
}

const fail = (where: string, what: string): never => {
  throw new ContractError(`${where}: ${what}`);
};

/** A map of the wire whose fields are read by name and type. */
export class WireMap {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly #where: string;

  /** @param where names the reply in the error. */
  constructor(value: unknown, where: string) {
    if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Uint8Array) {
      fail(where, `is no map but ${JSON.stringify(value)}`);
    }
    this.fields = value as Record<string, unknown>;
    this.#where = where;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.fields, name);
  }

  string(name: string): string {
    const value = this.fields[name];
    return typeof value === "string" ? value : this.#mistyped(name, "a string");
  }

  boolean(name: string): boolean {
    const value = this.fields[name];
    return typeof value === "boolean" ? value : this.#mistyped(name, "a boolean");
  }

  /** A safe integer of at least `min`. */
  integer(name: string, min = 0): number {
    const value = this.fields[name];
    return typeof value === "number" && Number.isSafeInteger(value) && value >= min
      ? value
      : this.#mistyped(name, `an integer of at least ${min}`);
  }

  bytes(name: string): Uint8Array {
    const value = this.fields[name];
    return value instanceof Uint8Array ? value : this.#mistyped(name, "bytes");
  }

  list(name: string): readonly unknown[] {
    const value = this.fields[name];
    return Array.isArray(value) ? (value as unknown[]) : this.#mistyped(name, "a list");
  }

  map(name: string): WireMap {
    return new WireMap(this.fields[name], `${this.#where}.${name}`);
  }

  /** A map of strings to strings. */
  strings(name: string): Record<string, string> {
    return asHeaders(this.fields[name], `${this.#where}.${name}`);
  }

  #mistyped(name: string, wanted: string): never {
    return fail(this.#where, `${name} must be ${wanted}, is ${JSON.stringify(this.fields[name])}`);
  }
}

/** Headers of a message. */
export const asHeaders = (value: unknown, where: string): Record<string, string> => {
  const map = new WireMap(value, where);
  for (const name of Object.keys(map.fields)) map.string(name);
  return { ...(map.fields as Record<string, string>) };
};

/** Lower-case hex SHA-256. */
export const sha256Hex = (body: Uint8Array): string => createHash("sha256").update(body).digest("hex");

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text that the bytes are, a BOM included; undefined when they are no UTF-8. */
export const utf8Text = (body: Uint8Array): string | undefined => {
  try {
    return strictUtf8.decode(body);
  } catch {
    return undefined;
  }
};

/** Bytes of standard base64 with padding; anything else breaks the contract. */
export const base64Bytes = (raw: string, where: string): Uint8Array => {
  const bytes = Buffer.from(raw, "base64");
  if (bytes.toString("base64") !== raw) fail(where, "data_base64 is not canonical base64");
  return new Uint8Array(bytes);
};

/** Body of a message in JSON: `data` for text, else `data_base64`; exactly one of them. */
export const jsonBody = (message: WireMap, where: string): Uint8Array => {
  if (message.has("data") === message.has("data_base64")) fail(where, "must have either data or data_base64");
  if (message.has("data")) return new TextEncoder().encode(message.string("data"));
  return base64Bytes(message.string("data_base64"), where);
};

/** Checks that the bytes are exactly one msgpack value without floats or extensions. */
export const scanMsgpack = (bytes: Uint8Array, where: string): void => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const need = (at: number, count: number): number =>
    at + count <= bytes.length ? at + count : fail(where, "msgpack is cut short");
  const values = (at: number, count: number): number => {
    for (let i = 0; i < count; i++) at = value(at);
    return at;
  };
  const sized = (at: number, sizeBytes: 1 | 2 | 4): [at: number, count: number] => {
    const next = need(at, sizeBytes);
    return [next, sizeBytes === 1 ? view.getUint8(at) : sizeBytes === 2 ? view.getUint16(at) : view.getUint32(at)];
  };
  const value = (start: number): number => {
    const at = need(start, 1);
    const tag = view.getUint8(start);
    if (tag <= 0x7f || tag >= 0xe0 || tag === 0xc0 || tag === 0xc2 || tag === 0xc3) return at;
    if (tag <= 0x8f) return values(at, (tag & 0x0f) * 2);
    if (tag <= 0x9f) return values(at, tag & 0x0f);
    if (tag <= 0xbf) return need(at, tag & 0x1f);
    if (tag === 0xca || tag === 0xcb) return fail(where, "has a float");
    if ((tag >= 0xcc && tag <= 0xcf) || (tag >= 0xd0 && tag <= 0xd3)) return need(at, 1 << (tag & 0x03));
    const width = { 0xc4: 1, 0xc5: 2, 0xc6: 4, 0xd9: 1, 0xda: 2, 0xdb: 4, 0xdc: 2, 0xdd: 4, 0xde: 2, 0xdf: 4 } as const;
    const sizeBytes = width[tag as keyof typeof width] as 1 | 2 | 4 | undefined;
    if (sizeBytes === undefined) return fail(where, `has the msgpack type 0x${tag.toString(16)}`);
    const [next, count] = sized(at, sizeBytes);
    if (tag >= 0xde) return values(next, count * 2);
    if (tag >= 0xdc) return values(next, count);
    return need(next, count);
  };
  if (value(0) !== bytes.length) fail(where, "has bytes after the msgpack value");
};
