/**
 * Where reading starts: the forms of `from` and of a consumer's `start`.
 * @module
 */
import { parseAge } from "./duration.ts";
import { StreamError } from "./errors.ts";
import { sequenceMax } from "./limits.ts";
import type { ConsumerStart, Sequence } from "./message.ts";

/** Where a read, a tail or a subscription starts. */
export type StartPosition =
  | { readonly kind: "first" }
  | { readonly kind: "new" }
  | { readonly kind: "last" }
  | { readonly kind: "sequence"; readonly sequence: Sequence }
  /** `ageMs` before the moment it is looked at. */
  | { readonly kind: "age"; readonly ageMs: number }
  | { readonly kind: "time"; readonly timestampMs: number };

const rfc3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;

/** Milliseconds of an RFC 3339 time (rounded up, so that nothing earlier is shown), or undefined. */
export const parseRfc3339 = (raw: string): number | undefined => {
  const match = rfc3339.exec(raw);
  if (match === null) return undefined;
  const fraction = match[7] ?? "";
  const whole = Date.parse(`${raw.slice(0, 10)}T${raw.slice(11, 19)}${(match[8] ?? "Z").toUpperCase()}`);
  if (Number.isNaN(whole)) return undefined;
  const day = Number(match[3]);
  // Date.parse rolls 31 February over into March; the calendar day must be the one that was written.
  if (new Date(Date.UTC(Number(match[1]), Number(match[2]) - 1, day)).getUTCDate() !== day) return undefined;
  return whole + (fraction === "" ? 0 : Math.ceil(Number(`0${fraction}`) * 1000));
};

/** A sequence given as an integer or as its decimal digits; undefined when it is neither. */
const asSequence = (raw: unknown): Sequence | undefined => {
  if (typeof raw === "number") return Number.isSafeInteger(raw) && raw >= 0 ? raw : undefined;
  if (typeof raw !== "string" || !/^\d{1,16}$/.test(raw)) return undefined;
  const value = Number(raw);
  return value <= sequenceMax ? value : undefined;
};

/**
 * Parses `from`: a sequence (number or digits), `first`, `new`, `last`, an age such as `10m`, or an RFC 3339 time.
 * @throws StreamError `invalid_parameter` with `parameter: "from"`
 */
export const parseStartPosition = (raw: unknown, parameter = "from"): StartPosition => {
  if (raw === "first" || raw === "new" || raw === "last") return { kind: raw };
  const sequence = asSequence(raw);
  if (sequence !== undefined) return { kind: "sequence", sequence };
  if (typeof raw === "string") {
    const ageMs = parseAge(raw);
    if (ageMs !== undefined) return { kind: "age", ageMs };
    const timestampMs = parseRfc3339(raw);
    if (timestampMs !== undefined) return { kind: "time", timestampMs };
  }
  throw new StreamError(
    "invalid_parameter",
    `${parameter} must be a sequence, first, new, last, an age such as 10m (ms s m h d w) or an RFC 3339 time.`,
    { parameter },
  );
};

/**
 * Parses a consumer's `start`: `first`, `new`, a sequence, or an RFC 3339 time.
 * @throws StreamError `invalid_parameter` with `parameter: "start"`
 */
export const parseConsumerStart = (raw: unknown): ConsumerStart => {
  if (raw === "first" || raw === "new") return { kind: raw };
  const sequence = asSequence(raw);
  if (sequence !== undefined) return { kind: "sequence", sequence };
  const timestampMs = typeof raw === "string" ? parseRfc3339(raw) : undefined;
  if (timestampMs !== undefined) return { kind: "time", timestampMs };
  throw new StreamError("invalid_parameter", "start must be first, new, a sequence or an RFC 3339 time.", {
    parameter: "start",
  });
};
