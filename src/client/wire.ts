/**
 * Between the names of the wire (snake_case) and those of the SDK (camelCase), and a few shapes. What the server says
 * is taken at its word; only what is not even a map is refused.
 * @module
 */
import { without } from "./errors.ts";
import type { From } from "./options.ts";

/** A map as it is on the wire, or before it gets there. */
export type Fields = Readonly<Record<string, unknown>>;

/** `[subject, sequence, timestamp, headers, data or pointer, deliveries]` */
export type Tuple = readonly [string, number, number, Readonly<Record<string, string>>, Uint8Array | Fields, number];

/** What somebody has to be given and nobody needs. */
export const nothing = (): undefined => undefined;

export const isMap = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const renamed = (map: object, rename: (name: string) => string): Record<string, unknown> =>
  Object.fromEntries(Object.entries(map).map(([name, value]) => [rename(name), value]));

/** The names of a map, not of maps in it, as the wire has them. */
export const toWire = (map: object): Record<string, unknown> =>
  renamed(map, (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));

/** The names of a map, not of maps in it, as the SDK has them; without the envelope of a frame. */
export const fromWire = (map: Fields): unknown =>
  renamed(without(map, /^(?:op|id)$/), (name) => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()));

// A BOM is part of a text: it is the body byte for byte.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export const utf8 = (bytes: Uint8Array): string => decoder.decode(bytes);

/** A `from` or `start` as the wire has it. */
export const wireFrom = (from: From | undefined): number | string | undefined =>
  from instanceof Date ? from.toISOString() : from;

/** A promise, and what settles it. It need not be looked at. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

/** (`Promise.withResolvers` is not in Node 20.) */
export const deferred = <T>(): Deferred<T> => {
  let settle = {} as Omit<Deferred<T>, "promise">;
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  promise.catch(nothing);
  return { promise, ...settle };
};
