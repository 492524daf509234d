/**
 * Business events as text: what comes in is checked field by field with all faults told at once, what is stored is read
 * back, what goes out is JSON with the names of the wire.
 * @module
 */
import { isUtf8 } from "node:buffer";
import { type FieldFault, StreamError } from "../core/errors.ts";
import {
  amountCentsMax,
  type BusinessEvent,
  type EventDraft,
  type EventType,
  eventSubject,
  eventTypes,
} from "../core/event.ts";
import { sequenceMax } from "../core/limits.ts";
import type { Message, Sequence } from "../core/message.ts";
import type { Subject } from "../core/subject.ts";
import { asBuffer } from "./bytes.ts";
import type { View } from "./view.ts";

/** Longest `user_id` in characters. */
export const userIdCharsMax = 255;
/** Largest body that is read as an event: four fields, however they are written. */
export const eventBytesMax = 64 * 1024;
/** Faults that one error names; who makes more of them has other worries. */
const faultsMax = 100;
/** Characters of an unknown field's name in its fault. */
const shownNameCharsMax = 100;

/** Everything that is wrong, as one error: `errors` names each field. */
export const invalidEvent = (faults: readonly FieldFault[]): StreamError =>
  new StreamError("invalid_event", faults[0]?.detail ?? "The event is invalid.", {
    errors: faults.slice(0, faultsMax),
  });

/** How an event stands in what surrounds it. */
export interface EventPlace {
  /** Goes before the names of its fields in faults: `events[3].`. */
  readonly prefix?: string | undefined;
  /** Fields beside it that somebody else reads. */
  readonly ignore?: readonly string[] | undefined;
}

const nowhere: EventPlace = Object.freeze({});

/**
 * Checks an event: `{user_id, event_type, amount, timestamp}` and nothing else.
 * @throws StreamError `invalid_event` with `errors`, a fault for each field
 */
export const parseEvent = (raw: unknown, place: EventPlace = nowhere): EventDraft => {
  const { draft, faults } = checkEvent(raw, place);
  if (draft === undefined) throw invalidEvent(faults);
  return draft;
};

const noFaults: readonly FieldFault[] = Object.freeze([]);

/** An event or its faults, without throwing. */
export const checkEvent = (
  raw: unknown,
  { prefix = "", ignore }: EventPlace = nowhere,
): { readonly draft?: EventDraft; readonly faults: readonly FieldFault[] } => {
  if (!isMap(raw)) {
    const field = prefix === "" ? "event" : prefix.replace(/\.$/, "");
    return { faults: [{ field, detail: `${field} must be a map with the fields of an event.` }] };
  }
  const userId = raw["user_id"];
  const eventType = raw["event_type"];
  const timestamp = raw["timestamp"];
  const amountCents = readAmount(raw["amount"]);
  const occurredAtMs = typeof timestamp === "string" ? readTimestamp(timestamp) : undefined;
  const unknown = hasUnknown(raw, ignore);
  if (
    isUserId(userId) &&
    isEventType(eventType) &&
    amountCents !== undefined &&
    occurredAtMs !== undefined &&
    typeof timestamp === "string" &&
    !unknown
  ) {
    return { draft: { userId, eventType, amountCents, timestamp, occurredAtMs }, faults: noFaults };
  }
  const faults: FieldFault[] = [];
  const tell = (field: string, fault: string): void => {
    const name = `${prefix}${field}`;
    faults.push({ field: name, detail: raw[field] === undefined ? `${name} is missing.` : `${name} ${fault}` });
  };
  if (!isUserId(userId)) {
    tell("user_id", `must be a string of 1 to ${userIdCharsMax} characters without control characters.`);
  }
  if (!isEventType(eventType)) tell("event_type", `must be one of ${eventTypes.join(", ")}.`);
  if (amountCents === undefined) {
    tell("amount", `must be a number from 0 to ${amountCentsMax / 100} with at most two decimals.`);
  }
  if (occurredAtMs === undefined) {
    tell("timestamp", "must be an ISO 8601 time from 1970 to 2286 such as 2024-01-15T10:30:00Z.");
  }
  if (unknown) {
    for (const name of Object.keys(raw)) {
      if (isKnown(name, ignore) || faults.length >= faultsMax) continue;
      const shown = `${prefix}${name.toWellFormed().slice(0, shownNameCharsMax)}`;
      faults.push({ field: shown, detail: `${shown} is no field of an event.` });
    }
  }
  return { faults };
};

const isMap = (raw: unknown): raw is Record<string, unknown> =>
  typeof raw === "object" && raw !== null && !Array.isArray(raw) && !(raw instanceof Uint8Array);

const isKnown = (name: string, ignore: readonly string[] | undefined): boolean =>
  name === "user_id" ||
  name === "event_type" ||
  name === "amount" ||
  name === "timestamp" ||
  ignore?.includes(name) === true;

const hasUnknown = (raw: Readonly<Record<string, unknown>>, ignore: readonly string[] | undefined): boolean => {
  for (const name in raw) if (!isKnown(name, ignore)) return true;
  return false;
};

const asciiUserId = /^[\x20-\x7e]{1,255}$/;
// Control characters, and the halves of characters.
const unfitForUserId = /[\p{Cc}\p{Cs}]/u;

/** Whether it is 1 to 255 characters without control characters. */
export const isUserId = (raw: unknown): raw is string => {
  if (typeof raw !== "string") return false;
  if (asciiUserId.test(raw)) return true;
  // A character is at most two units.
  if (raw === "" || raw.length > 2 * userIdCharsMax || unfitForUserId.test(raw)) return false;
  return Array.from(raw).length <= userIdCharsMax;
};

/** Whether it names a type of events. */
export const isEventType = (raw: unknown): raw is EventType =>
  raw === "purchase" || raw === "return" || raw === "refund";

/** The type of that name. */
export const eventTypeOfName = (name: string): EventType | undefined => (isEventType(name) ? name : undefined);

const decimal = /^(\d{1,13})(?:\.(\d{1,2}))?$/;

/** Sums in binary floats are off by about so much of themselves; of larger amounts that would be near a cent. */
const noisyBelow = 1e9;

/**
 * Cents of a number, or of its decimal digits; undefined when it is none, below 0, too large, or finer than a cent. What a
 * program has reckoned in binary floats, such as 0.1 + 0.2, counts as the cents that it is off by no more than a rounding.
 */
export const readAmount = (raw: unknown): number | undefined => {
  if (typeof raw === "number") {
    const cents = Math.round(raw * 100);
    if (!(cents >= 0 && cents <= amountCentsMax)) return undefined;
    const off = Math.abs(cents / 100 - raw);
    const isExact = off === 0 || (raw < noisyBelow && off <= raw * Number.EPSILON);
    // No minus zero.
    return isExact ? cents + 0 : undefined;
  }
  if (typeof raw !== "string") return undefined;
  const match = decimal.exec(raw);
  return match === null ? undefined : Number(match[1]) * 100 + Number((match[2] ?? "").padEnd(2, "0"));
};

/** An amount as decimal digits: `150.75`. */
export const amountText = (cents: number | bigint): string => {
  const digits = String(cents < 0 ? -cents : cents).padStart(3, "0");
  return `${cents < 0 ? "-" : ""}${digits.slice(0, -2)}.${digits.slice(-2)}`;
};

const isoTime =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?:[Zz]|([+-])(\d\d)(?::?(\d\d))?)?$/;
/** Minutes are keys of 13 digits. */
const occurredAtMsMax = 9_999_999_999_999;

/**
 * Unix milliseconds (rounded down) of an ISO 8601 time in the extended format: seconds, fraction and zone may be left
 * out, without a zone it is UTC; undefined when it is none, or not from 1970 to 2286.
 */
export const readTimestamp = (raw: string): number | undefined => {
  const match = isoTime.exec(raw);
  if (match === null) return undefined;
  const year = Number(match[1]);
  const month = Number(match[2]);
  const day = Number(match[3]);
  const hour = Number(match[4]);
  const minute = Number(match[5]);
  const second = match[6] === undefined ? 0 : Number(match[6]);
  // The day before 1970 in one zone is in it in another; Date.UTC has its own idea of years below 100.
  if (year < 1969 || month < 1 || month > 12 || day < 1 || day > daysOf(year, month)) return undefined;
  // A leap second is the first of the next minute to Unix time.
  if (hour > 23 || minute > 59 || second > (minute === 59 ? 60 : 59)) return undefined;
  let ms = Date.UTC(year, month - 1, day, hour, minute, second);
  if (match[7] !== undefined) ms += Number(match[7].slice(0, 3).padEnd(3, "0"));
  if (match[8] !== undefined) {
    const hours = Number(match[9]);
    const minutes = match[10] === undefined ? 0 : Number(match[10]);
    if (hours > 23 || minutes > 59) return undefined;
    const offsetMs = (hours * 60 + minutes) * 60_000;
    ms += match[8] === "+" ? -offsetMs : offsetMs;
  }
  return ms >= 0 && ms <= occurredAtMsMax ? ms : undefined;
};

const daysOf = (year: number, month: number): number => {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
};

/** The body of the message that an event becomes. */
export const eventBody = (event: EventDraft): Uint8Array =>
  Buffer.from(
    `{"user_id":${JSON.stringify(event.userId)},"event_type":"${event.eventType}",` +
      `"amount":${event.amountCents / 100},"timestamp":${JSON.stringify(event.timestamp)}}`,
    "utf8",
  );

/** What a message on `events.…` tells of, whoever published it; undefined when it is no event. */
export const readEvent = (
  message: Pick<Message, "subject" | "sequence" | "timestampMs" | "body">,
): BusinessEvent | undefined => {
  const { subject, sequence, body } = message;
  if (body.length > eventBytesMax || !isUtf8(body)) return undefined;
  let raw: unknown;
  try {
    raw = JSON.parse(asBuffer(body).toString("utf8"));
  } catch {
    return undefined;
  }
  const { draft } = checkEvent(raw);
  if (draft === undefined || eventSubject(draft.eventType) !== subject) return undefined;
  return eventOf(draft, sequence, message.timestampMs);
};

/** A checked event that was stored there. */
export const eventOf = (draft: EventDraft, sequence: Sequence, receivedAtMs: number): BusinessEvent => ({
  userId: draft.userId,
  eventType: draft.eventType,
  amountCents: draft.amountCents,
  timestamp: draft.timestamp,
  occurredAtMs: draft.occurredAtMs,
  id: `${draft.eventType}-${sequence}`,
  sequence,
  receivedAtMs,
});

/** The type of the events of a subject; undefined for subjects that are none of theirs. */
export const eventTypeOf = (subject: Subject): EventType | undefined =>
  eventTypes.find((type) => eventSubject(type) === subject);

const eventId = /^(purchase|return|refund)-([1-9]\d{0,15})$/;

/** What an id names; undefined when it cannot be one. */
export const parseEventId = (
  raw: string,
): { readonly eventType: EventType; readonly sequence: Sequence } | undefined => {
  const match = eventId.exec(raw);
  if (match === null) return undefined;
  const eventType = match[1];
  const sequence = Number(match[2]);
  return isEventType(eventType) && sequence <= sequenceMax ? { eventType, sequence } : undefined;
};

/** A time as the wire has it. */
export const isoText = (ms: number): string => new Date(ms).toISOString();

/** A stored event on its way out. */
export const eventView = (event: BusinessEvent): View => ({
  id: event.id,
  user_id: event.userId,
  event_type: event.eventType,
  amount: event.amountCents / 100,
  timestamp: event.timestamp,
  subject: eventSubject(event.eventType),
  sequence: event.sequence,
  received_at: isoText(event.receivedAtMs),
});
