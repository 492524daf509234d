/**
 * What can go wrong between here and the database: numbers that the functions answer with, and the loss of the way
 * to them. Nothing is read from texts.
 * @module
 */
import { type ErrorCode, StreamError } from "../../core/errors.ts";

/** Numbers of `lua/mts/errors.lua` and what they mean here; one that is not listed is `unavailable`. */
const codes: Readonly<Partial<Record<number, ErrorCode>>> = {
  1: "unavailable",
  2: "storage_full",
  3: "overloaded",
  4: "consumer_not_found",
  5: "outcome_unknown",
  6: "unavailable",
  7: "internal",
  14: "too_many_policies",
  17: "no_dead_letters",
};

const details: Readonly<Partial<Record<ErrorCode, string>>> = {
  storage_full: "There is no room for metadata.",
  overloaded: "The metadata store has too much to do.",
  consumer_not_found: "The consumer is not there (any more).",
  too_many_policies: "A store has at most 1000 policies.",
  no_dead_letters: "The consumer names no subject for dead letters.",
};

/** A function answered with an error number; it changed nothing. */
export const errorOfReply = (number: number, text: unknown): StreamError => {
  const code = codes[number] ?? "unavailable";
  return new StreamError(code, details[code] ?? "The metadata store failed.", {}, text);
};

/** The connection went, or the time ran out, before the answer came: the call was made, or not. */
export class NoAnswerError extends Error {
  override readonly name = "NoAnswerError";
}

/** The server is there and does not let this user in: trying again changes nothing before somebody changes something. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
}

/**
 * Numbers of Tarantool's own errors that mean it: access denied, no such user, wrong password.
 * https://github.com/tarantool/tarantool/blob/2.6.0/src/box/errcode.h
 */
export const refusalNumbers: ReadonlySet<number> = new Set([42, 45, 47]);

/** The call was never sent. */
export class NotSentError extends Error {
  override readonly name = "NotSentError";
}

export const unavailable = (detail: string, cause?: unknown): StreamError =>
  new StreamError("unavailable", detail, {}, cause);
