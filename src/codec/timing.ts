/**
 * Times that a publish may carry: its time to live, and the delay or the moment of its delivery; as fields of a message
 * map and as headers.
 * @module
 */
import { parseAge } from "../core/duration.ts";
import { StreamError } from "../core/errors.ts";
import { delayMsMax, ttlMsMax } from "../core/limits.ts";
import type { DeliverAt, Draft } from "../core/message.ts";
import { parseRfc3339 } from "../core/start.ts";

/** What a draft says of time. */
export type Timing = Pick<Draft, "ttlMs" | "deliverAt">;

/** The names under which one way in has these values, for its errors. */
export interface TimingNames {
  readonly ttl: string;
  readonly delay: string;
  readonly deliverAt: string;
  readonly expected: string;
}

/** Names in message maps. */
export const timingFields: TimingNames = {
  ttl: "ttl_ms",
  delay: "delay_ms",
  deliverAt: "deliver_at",
  expected: "expected_last_sequence",
};

/** Names of HTTP headers and of gRPC's request metadata. */
export const timingHeaders: TimingNames = {
  ttl: "message-ttl",
  delay: "delay",
  deliverAt: "deliver-at",
  expected: "expected-last-sequence",
};

/** What came under each of the names, undefined where nothing did. */
export interface RawTiming {
  readonly ttl: unknown;
  readonly delay: unknown;
  readonly deliverAt: unknown;
  /** Whether an expected last sequence came, too. */
  readonly expected: boolean;
}

const noTiming: Timing = Object.freeze({});

/**
 * Times from the fields of a message map: `ttl_ms` and `delay_ms` in milliseconds, `deliver_at` in Unix milliseconds or
 * as an RFC 3339 time.
 * @throws StreamError `invalid_parameter` with `parameter`
 */
export const parseTimingFields = (raw: RawTiming): Timing =>
  parseTiming(raw, timingFields, (value) => (typeof value === "number" ? value : undefined));

/**
 * Times from headers, which are text: `message-ttl` and `delay` as a duration (`10m`) or in whole seconds, `deliver-at`
 * as an RFC 3339 time or in Unix milliseconds.
 * @throws StreamError `invalid_parameter` with `parameter`
 */
export const parseTimingHeaders = (raw: RawTiming): Timing => parseTiming(raw, timingHeaders, headerDuration);

/** Milliseconds of a duration with a unit, or of whole seconds; undefined when it is neither. */
const headerDuration = (raw: unknown): number | undefined => {
  if (typeof raw !== "string") return undefined;
  return /^\d{1,12}$/.test(raw) ? Number(raw) * 1000 : parseAge(raw);
};

const parseTiming = (
  { ttl, delay, deliverAt, expected }: RawTiming,
  names: TimingNames,
  readMs: (raw: unknown) => number | undefined,
): Timing => {
  if (ttl === undefined && delay === undefined && deliverAt === undefined) return noTiming;
  if (delay !== undefined && deliverAt !== undefined) {
    throw invalid(names.deliverAt, `Give either ${names.delay} or ${names.deliverAt}.`);
  }
  const later = delay === undefined ? names.deliverAt : names.delay;
  if (expected && (delay !== undefined || deliverAt !== undefined)) {
    throw invalid(later, `${later} does not go with ${names.expected}: nobody knows the last sequence of then.`);
  }
  return {
    ttlMs: ttl === undefined ? undefined : bounded(names.ttl, readMs(ttl), 1, ttlMsMax),
    deliverAt:
      delay === undefined
        ? momentOf(names.deliverAt, deliverAt)
        : { inMs: bounded(names.delay, readMs(delay), 0, delayMsMax) },
  };
};

const bounded = (name: string, ms: number | undefined, min: number, max: number): number => {
  if (ms !== undefined && Number.isSafeInteger(ms) && ms >= min && ms <= max) return ms;
  throw invalid(
    name,
    name.endsWith("_ms")
      ? `${name} must be an integer from ${min} to ${max} (milliseconds).`
      : `${name} must be a duration such as 10m (ms s m h d w) or whole seconds, from ${min} to ${max} ms.`,
  );
};

/** What is past is now; what lies beyond the longest delay is refused by the clock of this machine. */
const momentOf = (name: string, raw: unknown): DeliverAt | undefined => {
  if (raw === undefined) return undefined;
  const atMs = unixMs(raw);
  if (atMs === undefined) throw invalid(name, `${name} must be an RFC 3339 time or Unix milliseconds.`);
  if (atMs - Date.now() > delayMsMax) throw invalid(name, `${name} lies more than ${delayMsMax} ms ahead.`);
  return { atMs };
};

const unixMs = (raw: unknown): number | undefined => {
  const ms = typeof raw !== "string" ? raw : /^\d{1,16}$/.test(raw) ? Number(raw) : parseRfc3339(raw);
  // Before 1970 is as past as 1970.
  return typeof ms === "number" && Number.isSafeInteger(ms) ? Math.max(0, ms) : undefined;
};

const invalid = (parameter: string, detail: string): StreamError =>
  new StreamError("invalid_parameter", detail, { parameter });
