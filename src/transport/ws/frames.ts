/**
 * Request frames: which operations there are, which fields each has, and how a field is read.
 * @module
 */
import { unknownField } from "../../codec/draft.ts";
import { StreamError } from "../../core/errors.ts";
import type { FrameId } from "./protocol.ts";

/** A request whose field names were checked. */
export interface Frame {
  readonly op: Op;
  readonly id: FrameId | undefined;
  readonly fields: Readonly<Record<string, unknown>>;
}

interface OpSpec {
  readonly idRequired: boolean;
  /** Beside `op` and `id`. */
  readonly fields: ReadonlySet<string>;
}

const spec = (idRequired: boolean, ...fields: readonly string[]): OpSpec => ({ idRequired, fields: new Set(fields) });

const ops = {
  // Its fields are those of a message, which its own parser knows, and `publishEnvelope`.
  publish: spec(true),
  publish_batch: spec(true, "messages"),
  subscribe: spec(true, "filter", "from", "mode", "consumer", "credit", "deliver"),
  credit: spec(false, "sid", "messages"),
  fetch: spec(true, "subject", "from", "consumer", "limit", "max_bytes", "wait_ms", "auto_ack", "deliver"),
  ack: spec(false, "subject", "consumer", "sequence", "sequences"),
  nack: spec(false, "subject", "consumer", "sequence", "sequences", "delay_ms", "error"),
  unsubscribe: spec(false, "sid"),
  ping: spec(false),
  auth: spec(false, "token"),
} as const;

/** An operation that a client may ask for. */
export type Op = keyof typeof ops;

/** What may stand in a publish frame beside the message itself. */
export const publishEnvelope: ReadonlySet<string> = new Set(["op", "id", "wait", "wait_ms"]);

/** Longest `id` in characters: it is the client's own, but every answer carries it. */
const idCharsMax = 1024;

const isMap = (raw: unknown): raw is Readonly<Record<string, unknown>> =>
  typeof raw === "object" && raw !== null && !Array.isArray(raw) && !(raw instanceof Uint8Array);

const asId = (raw: unknown): FrameId | undefined => {
  if (typeof raw === "string") return raw.length <= idCharsMax ? raw : undefined;
  if (typeof raw === "number") return Number.isSafeInteger(raw) ? raw : undefined;
  return typeof raw === "bigint" ? raw : undefined;
};

/** The `id` of whatever came, for the error that answers it; undefined when there is none that can be returned. */
export const readableId = (raw: unknown): FrameId | undefined => (isMap(raw) ? asId(raw["id"]) : undefined);

const isOp = (raw: string): raw is Op => Object.hasOwn(ops, raw);

/** @throws StreamError `malformed_request`, `unknown_op`, `invalid_parameter`, `unknown_field` */
export const parseFrame = (raw: unknown): Frame => {
  if (!isMap(raw)) throw new StreamError("malformed_request", "A frame must be one map.");
  const op = raw["op"];
  if (typeof op !== "string") throw new StreamError("malformed_request", "A frame must have op, a string.");
  if (!isOp(op)) throw new StreamError("unknown_op", `The operations are ${Object.keys(ops).join(", ")}.`);
  const id = asId(raw["id"]);
  if (id === undefined && (raw["id"] !== undefined || ops[op].idRequired)) {
    throw invalidParameter("id", `id must be a string of up to ${idCharsMax} characters or an integer.`);
  }
  // The message of a publish is checked with its fields, by the one parser that all transports share.
  if (op !== "publish") {
    for (const field in raw) {
      if (field !== "op" && field !== "id" && !ops[op].fields.has(field)) throw unknownField(field);
    }
  }
  return { op, id, fields: raw };
};

/** The id of a request that must have one; `parseFrame` saw to it. */
export const requiredId = (frame: Frame): FrameId => {
  if (frame.id === undefined) throw invalidParameter("id", "id is required.");
  return frame.id;
};

/** A field with a wrong value. */
export const invalidParameter = (parameter: string, detail: string): StreamError =>
  new StreamError("invalid_parameter", detail, { parameter });

/** An integer field, or its default. @throws StreamError `invalid_parameter` */
export const integerField = (frame: Frame, name: string, min: number, max: number, otherwise?: number): number => {
  const raw = frame.fields[name];
  if (raw === undefined && otherwise !== undefined) return otherwise;
  return asInteger(name, raw, min, max);
};

/** A boolean field, false when it is not there. @throws StreamError `invalid_parameter` */
export const booleanField = (frame: Frame, name: string): boolean => {
  const raw = frame.fields[name];
  if (raw === undefined) return false;
  if (typeof raw !== "boolean") throw invalidParameter(name, `${name} must be true or false.`);
  return raw;
};

/** An integer within bounds. @throws StreamError `invalid_parameter` */
export const asInteger = (name: string, raw: unknown, min: number, max: number): number => {
  if (typeof raw === "number" && Number.isSafeInteger(raw) && raw >= min && raw <= max) return raw;
  throw invalidParameter(name, `${name} must be an integer from ${min} to ${max}.`);
};

/** An array. @throws StreamError `invalid_parameter` */
export const arrayField = (frame: Frame, name: string): readonly unknown[] => {
  const raw = frame.fields[name];
  if (Array.isArray(raw)) return raw;
  throw invalidParameter(name, `${name} must be an array.`);
};
