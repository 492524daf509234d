/**
 * Retention policies as people write them: in request bodies and in the configuration, with the same fields and the
 * same strictness.
 * @module
 */
import { parseAge, parseSize } from "../core/duration.ts";
import { StreamError } from "../core/errors.ts";
import type { FilterPolicy, RetentionPolicy } from "../core/policy.ts";

const fields = ["max_age", "max_messages", "max_bytes", "discard"] as const;

const hourMs = 3_600_000;
/** Units in which an age is shown; a day is 24h, as it is usually asked for. */
const units = [
  ["d", 24 * hourMs],
  ["h", hourMs],
  ["m", 60_000],
  ["s", 1000],
] as const;

/**
 * Reads `{max_age?, max_messages?, max_bytes?, discard?}`; what is left out or null sets no limit, `discard` is `old`.
 * @throws StreamError `invalid_parameter` (with `parameter`), `unknown_field` (with `field`)
 */
export const parsePolicy = (raw: unknown): RetentionPolicy => {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw) || ArrayBuffer.isView(raw)) {
    throw invalid("body", "A policy is an object.");
  }
  const given = new Map<string, unknown>(Object.entries(raw));
  for (const field of given.keys()) {
    if (!fields.some((known) => known === field)) {
      throw new StreamError("unknown_field", `A policy knows the fields ${fields.join(", ")}.`, { field });
    }
  }
  return {
    maxAgeMs: parseLimit("max_age", given.get("max_age"), ageOf, "a duration from 1ms on, such as 24h"),
    maxMessages: parseLimit("max_messages", given.get("max_messages"), countOf, "an integer from 1 on"),
    maxBytes: parseLimit("max_bytes", given.get("max_bytes"), bytesOf, "an integer from 1 on, or a size such as 10MiB"),
    discard: parseDiscard(given.get("discard")),
  };
};

/** A policy as it is answered: all fields, and the filter. */
export const policyView = ({ filter, policy }: FilterPolicy): Readonly<Record<string, unknown>> => ({
  filter,
  max_age: policy.maxAgeMs === null ? null : ageText(policy.maxAgeMs),
  max_messages: policy.maxMessages,
  max_bytes: policy.maxBytes,
  discard: policy.discard,
});

/** Milliseconds in the largest unit that needs no fraction: `90s`, `24h`, `7d`. */
export const ageText = (ms: number): string => {
  const fitting = units.find(([unit, size]) => ms % size === 0 && (unit !== "d" || ms > size));
  return fitting === undefined ? `${ms}ms` : `${ms / fitting[1]}${fitting[0]}`;
};

const parseLimit = (
  name: string,
  raw: unknown,
  read: (raw: unknown) => number | undefined,
  wanted: string,
): number | null => {
  if (raw === undefined || raw === null) return null;
  const value = read(raw);
  if (value !== undefined && value >= 1) return value;
  throw invalid(name, `${name} must be ${wanted}, or null.`);
};

const countOf = (raw: unknown): number | undefined =>
  typeof raw === "number" && Number.isSafeInteger(raw) ? raw : undefined;
const ageOf = (raw: unknown): number | undefined => (typeof raw === "string" ? parseAge(raw) : undefined);
const bytesOf = (raw: unknown): number | undefined => (typeof raw === "string" ? parseSize(raw) : countOf(raw));

const parseDiscard = (raw: unknown): RetentionPolicy["discard"] => {
  if (raw === undefined) return "old";
  if (raw === "old" || raw === "new") return raw;
  throw invalid("discard", "discard must be old or new.");
};

const invalid = (parameter: string, detail: string): StreamError =>
  new StreamError("invalid_parameter", detail, { parameter });
