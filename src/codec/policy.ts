/**
 * Retention policies as people write them: in request bodies and in the configuration, with the same fields and the
 * same strictness.
 * @module
 */
import { parseAge, parseSize } from "../core/duration.ts";
import { StreamError } from "../core/errors.ts";
import { recipientsMax } from "../core/limits.ts";
import type { FilterPolicy, RetentionPolicy } from "../core/policy.ts";
import { type ConsumerName, parseConsumerName } from "../core/subject.ts";
import { unknownField } from "./draft.ts";

const fields = [
  "max_age",
  "max_messages",
  "max_bytes",
  "discard",
  "retain",
  "recipients",
  "recipient_timeout",
] as const;

const hourMs = 3_600_000;
/** Units in which an age is shown; a day is 24h, as it is usually asked for. */
const units = [
  ["d", 24 * hourMs],
  ["h", hourMs],
  ["m", 60_000],
  ["s", 1000],
] as const;

/**
 * Reads `{max_age?, max_messages?, max_bytes?, discard?, retain?, recipients?, recipient_timeout?}`; what is left out
 * or null sets no limit, `discard` is `old`, `retain` is `limits`.
 * @throws StreamError `invalid_parameter` (with `parameter`), `unknown_field` (with `field`)
 */
export const parsePolicy = (raw: unknown): RetentionPolicy => {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw) || ArrayBuffer.isView(raw)) {
    throw invalid("body", "A policy is an object.");
  }
  const given = new Map<string, unknown>(Object.entries(raw));
  for (const field of given.keys()) {
    if (!fields.some((known) => known === field)) throw unknownField(field, fields);
  }
  const retain = parseRetain(given.get("retain"));
  const recipients = parseRecipients(given.get("recipients") ?? null, retain);
  return {
    maxAgeMs: parseLimit("max_age", given.get("max_age"), ageOf, "a duration from 1ms on, such as 24h"),
    maxMessages: parseLimit("max_messages", given.get("max_messages"), countOf, "an integer from 1 on"),
    maxBytes: parseLimit("max_bytes", given.get("max_bytes"), bytesOf, "an integer from 1 on, or a size such as 10MiB"),
    discard: parseDiscard(given.get("discard")),
    retain,
    recipients,
    recipientTimeoutMs: parseRecipientTimeout(given.get("recipient_timeout"), retain, recipients),
  };
};

/** A policy as it is answered: all fields, and the filter. */
export const policyView = ({ filter, policy }: FilterPolicy): Readonly<Record<string, unknown>> => ({
  filter,
  max_age: policy.maxAgeMs === null ? null : ageText(policy.maxAgeMs),
  max_messages: policy.maxMessages,
  max_bytes: policy.maxBytes,
  discard: policy.discard,
  retain: policy.retain,
  recipients: policy.recipients,
  recipient_timeout: policy.recipientTimeoutMs === null ? null : ageText(policy.recipientTimeoutMs),
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

const parseRetain = (raw: unknown): RetentionPolicy["retain"] => {
  if (raw === undefined) return "limits";
  if (raw === "limits" || raw === "acked") return raw;
  throw invalid("retain", "retain must be limits or acked.");
};

const parseRecipients = (raw: unknown, retain: RetentionPolicy["retain"]): RetentionPolicy["recipients"] => {
  if (retain === "limits") {
    if (raw === null) return null;
    throw invalid("recipients", "recipients belong to retain: acked.");
  }
  if (Array.isArray(raw) && raw.length >= 1 && raw.length <= recipientsMax) return recipientNames(raw);
  const count = countOf(raw);
  if (count !== undefined && count >= 1) return count;
  throw invalid(
    "recipients",
    `With retain: acked, recipients must be 1 to ${recipientsMax} names, or an integer from 1 on.`,
  );
};

/** In byte order. */
const recipientNames = (raw: readonly unknown[]): readonly ConsumerName[] => {
  const names = new Set<ConsumerName>();
  for (const item of raw) {
    try {
      names.add(parseConsumerName(item));
    } catch (thrown) {
      if (thrown instanceof StreamError) throw invalid("recipients", `recipients: ${thrown.message}`);
      throw thrown;
    }
  }
  if (names.size < raw.length) throw invalid("recipients", "recipients has a name more than once.");
  return [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
};

const parseRecipientTimeout = (
  raw: unknown,
  retain: RetentionPolicy["retain"],
  recipients: RetentionPolicy["recipients"],
): number | null => {
  const timeoutMs = parseLimit("recipient_timeout", raw, ageOf, "a duration from 1ms on, such as 7d");
  if (timeoutMs === null || (retain === "acked" && Array.isArray(recipients))) return timeoutMs;
  throw invalid("recipient_timeout", "recipient_timeout belongs to recipients that are named.");
};

const invalid = (parameter: string, detail: string): StreamError =>
  new StreamError("invalid_parameter", detail, { parameter });
