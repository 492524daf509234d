/**
 * Events on their way in: one or an array of them, plain or as CloudEvents in any of their modes.
 * @module
 */
import { checkStructured, isJsonType, notJsonData } from "../../../codec/cloud-event.ts";
import { parseMessageId } from "../../../codec/draft.ts";
import { checkEvent, eventView, invalidEvent } from "../../../codec/event.ts";
import { errorView, type View } from "../../../codec/view.ts";
import { assert, type FieldFault, StreamError, toStreamError } from "../../../core/errors.ts";
import { batchMessagesMax, frameBytesMax, messageIdBytesMax } from "../../../core/limits.ts";
import type { EventHub, EventReceipt, EventSubmission } from "../../../hub/contract.ts";
import { mediaTypes } from "../accept.ts";
import { structuredResponse } from "../answer.ts";
import { parseStructured, tooManyMessages } from "../body.ts";
import { decodeHeaderValue } from "../header.ts";
import { checkContentEncoding, parseContentType } from "../media.ts";
import type { HttpCall } from "../route.ts";
import { checkBinary, isBinary } from "./binary-mode.ts";

/** As large as a batch of messages may be. */
const bytesMax = (bodyBytesMax: number): number => Math.max(frameBytesMax(bodyBytesMax), 16 * 1024 * 1024);

/** What a body is made of. */
type Mode = "plain" | "binary" | "structured" | "batch";

/** An event that can be sent, or what is wrong with it. */
type Checked = EventSubmission | StreamError;

const invalid = (faults: readonly FieldFault[]): StreamError => invalidEvent(faults);

/** Stores what the body holds. @throws StreamError `invalid_event`, `malformed_body`, and what a publish can fail with */
export const sendEvents = async (call: HttpCall, hub: EventHub): Promise<Response> => {
  const { request, intake, broker } = call;
  checkContentEncoding(request);
  const mode = modeOf(request);
  const raw = parseStructured(await intake.bytes(bytesMax(broker.bodyBytesMax)), "json");
  const key = idempotencyKey(request);
  if (mode === "batch" || (mode === "plain" && Array.isArray(raw))) return sendMany(call, hub, raw, mode, key);
  const checked = checkOne(raw, mode, request);
  if (checked instanceof StreamError) throw checked;
  if (key !== undefined && mode === "plain" && checked.idempotencyKey !== undefined) {
    throw invalid([{ field: "idempotency_key", detail: "Give the key as a field or as a header, not as both." }]);
  }
  const submission = key === undefined ? checked : { ...checked, idempotencyKey: key };
  const [outcome] = await hub.send(broker, [submission]);
  assert(outcome !== undefined, "one outcome a submission");
  if (outcome instanceof StreamError) throw outcome;
  return structuredResponse(receiptView(outcome), call.representation, outcome.duplicate ? 200 : 201, {
    location: `/events/${outcome.event.id}`,
  });
};

const receiptView = ({ event, duplicate }: EventReceipt): View => ({ ...eventView(event), duplicate });

/** @throws StreamError `unsupported_media_type` */
const modeOf = (request: Request): Mode => {
  const raw = request.headers.get("content-type");
  if (raw !== null && raw !== "application/json") {
    const { type, charset } = parseContentType(raw);
    const mode =
      type === mediaTypes.cloudEvent[0] ? "structured" : type === mediaTypes.cloudBatch[0] ? "batch" : "plain";
    if (!isJsonType(type) || (charset !== undefined && charset !== "utf-8" && charset !== "utf8")) throw notJsonData();
    if (mode !== "plain") return mode;
    // Other formats of CloudEvents, and other kinds of JSON, are not read as if they were plain.
    if (type.startsWith("application/cloudevents")) throw notJsonData();
  }
  return isBinary(request.headers) ? "binary" : "plain";
};

/** @throws StreamError `invalid_message_id` */
const idempotencyKey = (request: Request): string | undefined => {
  const raw = request.headers.get("idempotency-key");
  if (raw === null) return undefined;
  try {
    return parseMessageId(decodeHeaderValue("Idempotency-Key", raw));
  } catch {
    throw new StreamError("invalid_message_id", "The Idempotency-Key must be 1 to 128 bytes of UTF-8.");
  }
};

const checkOne = (raw: unknown, mode: Mode, request: Request): Checked => {
  if (mode === "plain") return checkPlain(raw, "");
  const { submission, faults } = mode === "binary" ? checkBinary(request.headers, raw) : checkStructured(raw);
  return submission ?? invalid(faults);
};

const besideEvent = ["idempotency_key"];

/** A plain event, which may say under which key it is sent. */
const checkPlain = (raw: unknown, prefix: string): Checked => {
  const { draft, faults } = checkEvent(raw, { prefix, ignore: besideEvent });
  const key = keyOf(raw, prefix);
  if (draft === undefined || typeof key === "object")
    return invalid(typeof key === "object" ? [...faults, key] : faults);
  return { event: draft, idempotencyKey: key };
};

/** The key of an entry, undefined when it has none, or what is wrong with it. */
const keyOf = (raw: unknown, prefix: string): string | undefined | FieldFault => {
  if (typeof raw !== "object" || raw === null || !("idempotency_key" in raw)) return undefined;
  try {
    return parseMessageId(raw.idempotency_key);
  } catch {
    const field = `${prefix}idempotency_key`;
    return { field, detail: `${field} must be a string of 1 to ${messageIdBytesMax} bytes.` };
  }
};

const sendMany = async (
  { broker, representation }: HttpCall,
  hub: EventHub,
  raw: unknown,
  mode: Mode,
  key: string | undefined,
): Promise<Response> => {
  if (!Array.isArray(raw)) throw invalid([{ field: "events", detail: "A batch must be an array of events." }]);
  if (raw.length > batchMessagesMax) throw tooManyMessages();
  if (key !== undefined) {
    throw new StreamError(
      "invalid_message_id",
      "A batch has a key for each event; one in the header would be for all.",
    );
  }
  const checked = raw.map((entry: unknown, index) => checkEntry(entry, mode, `events[${index}].`));
  const submissions = checked.filter((entry): entry is EventSubmission => !(entry instanceof StreamError));
  if (submissions.length === 0 && checked.length > 0) throw invalid(checked.flatMap(faultsOf));
  const outcomes = submissions.length === 0 ? [] : await hub.send(broker, submissions);
  let next = 0;
  const results = checked.map((entry) => {
    const outcome = entry instanceof StreamError ? entry : outcomes[next++];
    assert(outcome !== undefined, "one outcome a submission");
    return outcome instanceof StreamError ? { error: errorView(outcome) } : receiptView(outcome);
  });
  return structuredResponse({ results }, representation);
};

const checkEntry = (entry: unknown, mode: Mode, prefix: string): Checked => {
  if (mode === "plain") return checkPlain(entry, prefix);
  try {
    const { submission, faults } = checkStructured(entry, prefix);
    return submission ?? invalid(faults);
  } catch (thrown) {
    return toStreamError(thrown);
  }
};

/** All faults of an entry that is none. */
const faultsOf = (entry: Checked, index: number): readonly FieldFault[] => {
  if (!(entry instanceof StreamError)) return [];
  const { errors } = entry.fields;
  if (!Array.isArray(errors)) return [{ field: `events[${index}]`, detail: entry.message }];
  return errors.filter((fault): fault is FieldFault => typeof fault === "object");
};
