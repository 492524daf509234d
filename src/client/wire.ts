/**
 * Frames as maps, and what is read from them. Names are those of the wire; nothing here is public.
 * @module
 */
import { MtsError, protocolError } from "./errors.ts";
import type { From, Receipt } from "./options.ts";

/** One frame of the server. */
export type Frame = Readonly<Record<string, unknown>>;

/** The subprotocol that is spoken. */
export const subprotocol = "mts.msgpack.v1";

export const textField = (frame: Frame, name: string): string => {
  const value = frame[name];
  if (typeof value !== "string") throw protocolError(`a frame without ${name}`);
  return value;
};

export const integerField = (frame: Frame, name: string): number => {
  const value = frame[name];
  if (typeof value !== "number") throw protocolError(`a frame without ${name}`);
  return value;
};

export const listField = (frame: Frame, name: string): readonly unknown[] => {
  const value = frame[name];
  if (!Array.isArray(value)) throw protocolError(`a frame without ${name}`);
  return value;
};

export const isFrame = (value: unknown): value is Frame =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);

/** `[subject, sequence, timestamp, headers, data, deliveries]` */
export type Tuple = readonly [string, number, number, Readonly<Record<string, string>>, Uint8Array, number];

/** Messages of a push or a page; only the shape of the tuple is looked at, there are many. */
export const tuples = (frame: Frame): readonly Tuple[] => {
  const messages = listField(frame, "messages");
  for (const message of messages) {
    if (!Array.isArray(message) || message.length < 6 || !((message as unknown[])[4] instanceof Uint8Array)) {
      throw protocolError("a message that is no tuple of six");
    }
  }
  return messages as readonly Tuple[];
};

export const receiptFrom = (map: Frame): Receipt => ({
  subject: textField(map, "subject"),
  sequence: integerField(map, "sequence"),
  timestamp: integerField(map, "timestamp"),
  duplicate: map["duplicate"] === true,
});

/** A `from` or `start` as the wire has it. */
export const wireFrom = (from: From): number | string => (from instanceof Date ? from.toISOString() : from);

/** Refuses what UTF-8 has no bytes for: it would be stored as something else. */
export const assertWellFormed = (text: string, parameter: string): void => {
  if (text.isWellFormed()) return;
  throw new MtsError("invalid_parameter", `${parameter} has a lone surrogate.`, false, { parameter });
};

/** A promise, and what settles it. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

/** Browsers have `Promise.withResolvers` only since 2024. */
export const deferred = <T>(): Deferred<T> => {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<T>((resolved, rejected) => {
    resolve = resolved;
    reject = rejected;
  });
  return { promise, resolve: (value) => resolve(value), reject: (error) => reject(error) };
};

/** Marks a promise as one that nobody has to wait for. */
export const ignoreRejection = <T>(promise: Promise<T>): Promise<T> => {
  promise.catch(() => undefined);
  return promise;
};
