/**
 * What the store's thread and the writer's thread say to each other. Everything in it survives a structured clone.
 * @module
 */
import { type ErrorCode, type ErrorFields, StreamError, toStreamError } from "../../core/errors.ts";
import type { PackedEntries, PackedOutcomes } from "./packing.ts";
import type { Writes } from "./writes.ts";

/** What the thread is started with. */
export interface WriterSettings {
  /** The database's file; its schema is there already. */
  readonly path: string;
  readonly dedupeWindowMs: number;
  readonly pagesMax: number | undefined;
}

/** Calls whose arguments and results are cloned as they are. */
export type PlainVerb = Exclude<keyof Writes, "commit">;

/** A call with its arguments. */
export type PlainCall = {
  readonly [Verb in PlainVerb]: { readonly verb: Verb; readonly args: Readonly<Parameters<Writes[Verb]>> };
}[PlainVerb];

/** A call. The clock is the caller's: a test may have given it another one. */
export type WriterCall = { readonly id: number; readonly nowMs: number } & (
  | { readonly verb: "commit"; readonly entries: PackedEntries }
  | PlainCall
);

/** An error, as far as it can be cloned. */
export interface ErrorText {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly fields: ErrorFields;
  /** What it came from, for the log. */
  readonly cause: string | undefined;
}

/** The thread's answers: whether it has started, then one for each call. */
export type WriterReply =
  | { readonly kind: "started" }
  | { readonly kind: "not_started"; readonly error: ErrorText }
  | { readonly kind: "failed"; readonly id: number; readonly error: ErrorText }
  | { readonly kind: "committed"; readonly id: number; readonly outcomes: PackedOutcomes; readonly tookMs: number }
  | { readonly kind: "done"; readonly id: number; readonly result: unknown };

/** Takes an error apart. */
export const errorText = (thrown: unknown): ErrorText => {
  const { code, message, fields, cause } = toStreamError(thrown);
  return { code, detail: message, fields, cause: cause === undefined ? undefined : causeText(cause) };
};

const causeText = (cause: unknown): string => {
  if (!(cause instanceof Error)) return String(cause);
  return "code" in cause ? `${cause.name} ${String(cause.code)}: ${cause.message}` : `${cause.name}: ${cause.message}`;
};

/** Puts an error together again. */
export const errorFrom = ({ code, detail, fields, cause }: ErrorText): StreamError =>
  new StreamError(code, detail, fields, cause === undefined ? undefined : new Error(cause));
