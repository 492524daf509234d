/**
 * CloudEvents 1.0 (cloudevents.io): business events that come in that envelope and leave in it. Attributes are kept as
 * message headers `ce-NAME`, the data is the event.
 * @module
 */
import { type FieldFault, StreamError } from "../core/errors.ts";
import type { BusinessEvent, EventDraft } from "../core/event.ts";
import type { Headers } from "../core/message.ts";
import { parseRfc3339 } from "../core/start.ts";
import { asBuffer } from "./bytes.ts";
import { parseHeaders } from "./draft.ts";
import { checkEvent, eventTypeOfName, isoText } from "./event.ts";
import type { View } from "./view.ts";

/** Headers of attributes begin with this. */
export const cloudPrefix = "ce-";
/** Media types of one event with its envelope, and of several. */
export const cloudEventType = "application/cloudevents+json";
export const cloudBatchType = "application/cloudevents-batch+json";

const specVersion = "1.0";
/** Where events come from that somebody sent without an envelope. */
const ownSource = "/events";
const attributeName = /^[a-z0-9]{1,64}$/;
const required = ["id", "source", "type"] as const;
const jsonType = /^application\/(?:[!#$&^_.+a-z0-9-]+\+)?json\s*(?:;.*)?$/i;

/** A CloudEvent that was checked. */
export interface CloudSubmission {
  readonly event: EventDraft;
  /** Made of `source` and `id`: the same event is sent again under the same ones. */
  readonly idempotencyKey: string;
  readonly headers: Headers;
}

/** A CloudEvent or its faults. */
export interface CheckedCloudEvent {
  readonly submission?: CloudSubmission | undefined;
  readonly faults: readonly FieldFault[];
}

/** Whether a content type is JSON, which data has to be. */
export const isJsonType = (type: string): boolean => jsonType.test(type.trim());

/**
 * One event of the JSON format: attributes, and `data` or `data_base64`.
 * @param prefix goes before the names in faults: `events[3].`
 * @throws StreamError `invalid_header` for attributes that are too large
 */
export const checkStructured = (raw: unknown, prefix = ""): CheckedCloudEvent => {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw) || raw instanceof Uint8Array) {
    const field = prefix === "" ? "event" : prefix.slice(0, -1);
    return { faults: [{ field, detail: `${field} must be a CloudEvent in the JSON format.` }] };
  }
  const { data, data_base64: base64, ...attributes } = raw as Readonly<Record<string, unknown>>;
  if (base64 === undefined) return checkCloudEvent(attributes, data, { attributes: prefix, data: `${prefix}data.` });
  const decoded = data === undefined ? decodeData(base64) : undefined;
  if (decoded === undefined) {
    const field = `${prefix}data_base64`;
    return { faults: [{ field, detail: `${field} must be base64 of JSON, and there is no data beside it.` }] };
  }
  return checkCloudEvent(attributes, decoded.value, { attributes: prefix, data: `${prefix}data.` });
};

const decodeData = (raw: unknown): { readonly value: unknown } | undefined => {
  if (typeof raw !== "string") return undefined;
  try {
    return { value: JSON.parse(asBuffer(Uint8Array.fromBase64(raw)).toString("utf8")) };
  } catch {
    return undefined;
  }
};

/**
 * Attributes as they came, and the event that is their data.
 * @param prefixes what goes before the names of attributes in faults, and before those of the data
 * @throws StreamError `invalid_header` for attributes that are too large
 */
export const checkCloudEvent = (
  attributes: Readonly<Record<string, unknown>>,
  data: unknown,
  prefixes: { readonly attributes: string; readonly data: string },
): CheckedCloudEvent => {
  const faults: FieldFault[] = [];
  const tell = (name: string, fault: string): void => {
    const field = `${prefixes.attributes}${name.toWellFormed().slice(0, 64)}`;
    faults.push({ field, detail: `${field} ${fault}` });
  };
  if (attributes["specversion"] !== specVersion) tell("specversion", `must be "${specVersion}".`);
  for (const name of required) {
    if (typeof attributes[name] !== "string" || attributes[name] === "")
      tell(name, "must be a string that is not empty.");
  }
  const headers: [string, string][] = [];
  for (const [name, value] of Object.entries(attributes)) {
    // In JSON, null is an attribute that is not set.
    if (name === "specversion" || value === null || value === undefined) continue;
    const text = attributeText(value);
    if (!attributeName.test(name)) tell(name, "is no name of an attribute: lower-case letters and digits.");
    else if (text === undefined) tell(name, "must be a string, a boolean or an integer.");
    else if (name === "datacontenttype") {
      if (!isJsonType(text)) tell(name, "must be application/json.");
    } else if (text !== "") headers.push([cloudPrefix + name, text]);
  }
  const { time, type, id, source } = attributes;
  if (typeof time === "string" && parseRfc3339(time) === undefined) tell("time", "must be an RFC 3339 time.");
  const checked = checkEvent(completed(data, type, time), { prefix: prefixes.data });
  faults.push(...checked.faults);
  if (checked.draft === undefined || faults.length > 0 || typeof id !== "string" || typeof source !== "string") {
    return { faults };
  }
  const submission = {
    event: checked.draft,
    idempotencyKey: keyOf(source, id),
    // Not by assignment: an attribute may have any name.
    headers: parseHeaders(Object.fromEntries(headers)),
  };
  return { submission, faults };
};

/** Data may leave out what the envelope says: the type in the last token of `type`, the timestamp in `time`. */
const completed = (data: unknown, type: unknown, time: unknown): unknown => {
  if (typeof data !== "object" || data === null || Array.isArray(data)) return data;
  const event: Record<string, unknown> = { ...data };
  if (event["event_type"] === undefined && typeof type === "string") {
    const named = eventTypeOfName(type.slice(type.lastIndexOf(".") + 1));
    if (named !== undefined) event["event_type"] = named;
  }
  if (event["timestamp"] === undefined && typeof time === "string") event["timestamp"] = time;
  return event;
};

const attributeText = (value: unknown): string | undefined => {
  if (typeof value === "string") return value.isWellFormed() ? value : undefined;
  return typeof value === "boolean" || Number.isInteger(value) ? String(value) : undefined;
};

/** However long they are: message ids are short. */
const keyOf = (source: string, id: string): string =>
  `ce-${new Bun.CryptoHasher("sha256").update(`${source}\n${id}`).digest("base64url")}`;

/** The attributes of an event as text, `specversion` and `datacontenttype` included: those it came with, or its own. */
export const cloudAttributes = (event: BusinessEvent, headers: Headers): ReadonlyMap<string, string> => {
  const attributes = new Map([["specversion", specVersion]]);
  const came = required.every((name) => (headers[cloudPrefix + name] ?? "") !== "");
  if (came) {
    for (const [header, value] of Object.entries(headers)) {
      const name = header.slice(cloudPrefix.length);
      const isAttribute = header.startsWith(cloudPrefix) && attributeName.test(name) && value !== "";
      if (isAttribute && !reserved.has(name)) attributes.set(name, value);
    }
  } else {
    const { timestamp, occurredAtMs, id, eventType, userId } = event;
    attributes.set("id", id).set("source", ownSource).set("type", `event.${eventType}`);
    attributes.set("time", parseRfc3339(timestamp) === undefined ? isoText(occurredAtMs) : timestamp);
    attributes.set("subject", userId);
  }
  return attributes.set("datacontenttype", "application/json");
};

/** What is no attribute that a sender could choose. */
const reserved: ReadonlySet<string> = new Set(["specversion", "datacontenttype", "data", "database64"]);

/** An event with its envelope, in the JSON format. */
export const cloudEventView = (event: BusinessEvent, headers: Headers): View => ({
  ...Object.fromEntries(cloudAttributes(event, headers)),
  data: {
    user_id: event.userId,
    event_type: event.eventType,
    amount: event.amountCents / 100,
    timestamp: event.timestamp,
  },
});

const safeInHeader = /^[\x21\x23\x24\x26-\x7e]*$/;

/** The value of an attribute in an HTTP header (HTTP binding, 3.1.3.2): percent-encoded where HTTP cannot carry it. */
export const encodeAttribute = (text: string): string => {
  if (safeInHeader.test(text)) return text;
  let encoded = "";
  for (const byte of Buffer.from(text, "utf8")) {
    const isSafe = byte > 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x25;
    encoded += isSafe ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
};

/** The other way round; what is no percent-encoding stands for itself, because many senders encode nothing. */
export const decodeAttribute = (value: string): string => {
  if (!value.includes("%")) return value;
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
};

/** The error of a content type that carries no event. */
export const notJsonData = (): StreamError =>
  new StreamError("unsupported_media_type", "Send events as application/json, also as the data of a CloudEvent.", {
    supported: ["application/json", cloudEventType, cloudBatchType],
  });
