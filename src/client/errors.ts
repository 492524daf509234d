/**
 * The one error type of the SDK: the server's codes as they are, and a few of its own for what happens on this side.
 * @module
 */
import type { ErrorCode } from "../core/errors.ts";

/** Codes that only the SDK gives. */
export type ClientErrorCode =
  /** The `AbortSignal` that was given; `cause` is its reason. */
  | "aborted"
  /** `close()` was called. */
  | "closed"
  /** `timeoutMs` passed; a publish that may have been stored has `outcome_unknown` instead. */
  | "timed_out"
  /** The connection broke; calls that are repeated by themselves do not show it. */
  | "connection_lost"
  /** The server does not want this client; there is no further attempt. */
  | "connection_refused"
  /** The server has another store now: sequences that were known mean nothing any more. */
  | "epoch_changed"
  /** This runtime has no WebSocket and none was given. */
  | "no_websocket"
  /** The server said something that is not in the contract. */
  | "protocol_error"
  /** A subscription with wildcards saw more subjects than it keeps positions for. */
  | "too_many_subjects";

/** A stable code; a newer server may have more than are named here. */
export type MtsErrorCode = ErrorCode | ClientErrorCode | (string & Record<never, never>);

/** What travels beside code and detail, names as on the wire, e.g. `last_sequence`. */
export type MtsErrorFields = Readonly<Record<string, unknown>>;

/** The error of every call of the SDK. Decide by `code` and `retryable`; `message` is for people. */
export class MtsError extends Error {
  override readonly name: string = "MtsError";
  // `declare`, here and in other classes: a field that the constructor sets need not be in the bundle twice.
  declare readonly code: MtsErrorCode;
  /** Whether the same call may work later. */
  declare readonly retryable: boolean;
  declare readonly fields: MtsErrorFields;

  constructor(code: MtsErrorCode, message: string, retryable = false, fields: MtsErrorFields = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.retryable = retryable;
    this.fields = fields;
  }
}

/** The server's store is another one than before; `fields.before` and `fields.now` are the epochs. */
export class EpochChangedError extends MtsError {
  override readonly name = "EpochChangedError";

  constructor(before: string, now: string) {
    super("epoch_changed", "The server has another store now.", false, { before, now });
  }
}

/** A map without some of its fields. */
export const without = (map: Readonly<Record<string, unknown>>, names: RegExp): Record<string, unknown> =>
  Object.fromEntries(Object.entries(map).filter(([name]) => !names.test(name)));

/** The error in a map of the server: an error frame, a result of a batch, a problem document. */
export const errorFrom = (map: Readonly<Record<string, unknown>>): MtsError =>
  new MtsError(
    String(map["code"]),
    String(map["detail"]),
    map["retryable"] === true,
    without(map, /^(?:op|id|sid|code|detail|retryable)$/),
  );

export const invalid = (parameter: string, detail: string): MtsError =>
  new MtsError("invalid_parameter", `${parameter}: ${detail}`, false, { parameter });

export const overloaded = (what: string): MtsError => new MtsError("overloaded", `Too many ${what} wait.`, true);

export const aborted = (signal: AbortSignal): MtsError =>
  new MtsError("aborted", "It was aborted.", false, {}, signal.reason);

export const timedOut = (): MtsError => new MtsError("timed_out", "No answer in time.", true);

export const closed = (): MtsError => new MtsError("closed", "The client is closed.");

export const connectionLost = (cause?: unknown): MtsError =>
  new MtsError("connection_lost", "The connection broke.", true, {}, cause);

/** It was sent and may be done. */
export const outcomeUnknown = (fields?: MtsErrorFields, cause?: unknown): MtsError =>
  new MtsError("outcome_unknown", "The answer did not come.", true, fields, cause);

/** Said to everybody on a connection that ends soon: it may be asked again on the next one. */
export const isPassing = (code: unknown): boolean => code === "shutting_down" || code === "token_expired";

export const protocolError = (what: string): MtsError => new MtsError("protocol_error", `The server sent ${what}.`);

/** Whatever was thrown, as an `MtsError`. */
export const toMtsError = (thrown: unknown): MtsError =>
  thrown instanceof MtsError ? thrown : new MtsError("internal", "Unexpected.", false, {}, thrown);
