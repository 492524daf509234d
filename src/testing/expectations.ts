/**
 * What many cases expect, said once.
 * @module
 */
import { expect } from "bun:test";
import { ClientError, type Receipt, type Received } from "./client.ts";

/** The promise must reject with a `ClientError` of this code. */
export const expectError = async (promise: Promise<unknown>, code: string): Promise<ClientError> => {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ("value" in outcome)
    throw new Error(`expected ${code}, but it was answered with ${JSON.stringify(outcome.value)}`);
  return expectClientError(outcome.error, code);
};

/** The value must be a `ClientError` of this code: an entry of a batch, or what was thrown. */
export const expectClientError = (value: unknown, code: string): ClientError => {
  if (!(value instanceof ClientError)) {
    throw value instanceof Error ? value : new Error(`expected ${code}, got ${JSON.stringify(value)}`);
  }
  expect(value.code).toBe(code);
  return value;
};

/** The value must be a receipt. */
export const expectReceipt = (value: Receipt | ClientError | undefined): Receipt => {
  if (value instanceof ClientError) throw value;
  if (value === undefined) throw new Error("there is no result");
  return value;
};

/** 1 … count. */
export const upTo = (count: number, first = 1): number[] => Array.from({ length: count }, (_, index) => first + index);

/** Sequences of messages. */
export const sequencesOf = (messages: readonly { readonly sequence: number }[]): number[] =>
  messages.map((message) => message.sequence);

/** Bodies of messages as text. */
export const textsOf = (messages: readonly Received[]): string[] =>
  messages.map((message) => Buffer.from(message.body).toString("utf8"));

/** Bodies may be megabytes: compared as bytes, reported by length and first difference only. */
export const expectBytes = (actual: Uint8Array | undefined, expected: Uint8Array): void => {
  if (actual === undefined) throw new Error("there are no bytes");
  const at = actual.findIndex((byte, index) => byte !== expected[index]);
  expect({ length: actual.length, firstDifference: at }).toEqual({ length: expected.length, firstDifference: -1 });
};

/** Bytes that look random and are the same in every run. */
export const someBytes = (length: number, seed = 1): Uint8Array => {
  const bytes = new Uint8Array(length);
  let state = seed >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state & 0xff;
  }
  return bytes;
};
