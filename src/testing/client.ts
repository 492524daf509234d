/**
 * What clients of every transport can do, in the tests' own words: small, strict, and independent of the server's
 * code, so that an error in a codec cannot hide on both sides.
 * @module
 */
import { Packr, Unpackr } from "msgpackr";
import type { Live } from "./live.ts";
import { ContractError, scanMsgpack, sha256Hex, WireMap } from "./wire.ts";

/** A message on its way in. Text is sent as UTF-8. */
export interface Draft {
  readonly subject: string;
  readonly body: Uint8Array | string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly messageId?: string;
  readonly expectedLastSequence?: number;
  readonly ttlMs?: number;
  readonly delayMs?: number;
  /** Unix milliseconds. */
  readonly deliverAtMs?: number;
}

/** Answer to one publish. */
export interface Receipt {
  readonly subject: string;
  readonly sequence: number;
  readonly timestampMs: number;
  readonly duplicate: boolean;
}

/** Answer to a publish that is committed later. */
export interface Scheduled {
  readonly subject: string;
  readonly scheduledId: string;
  readonly deliverAtMs: number;
  readonly duplicate: boolean;
}

/** Answer to a publish that waited for acknowledgements. */
export interface Acknowledged extends Receipt {
  readonly acked: number;
  readonly recipientsTotal: number;
  readonly acknowledged: boolean;
}

/** Where a body is. */
export interface Pointer {
  readonly length: number;
  readonly size: number;
  readonly sha256: string;
  readonly contentEncoding: string | null;
  /** A path alone when it is the server's own. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly expiresAtMs: number;
}

/** A message as it came out. */
export interface Received {
  readonly subject: string;
  readonly sequence: number;
  readonly timestampMs: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Empty beside a pointer. */
  readonly body: Uint8Array;
  readonly pointer?: Pointer;
  /** Where the format has room for it. */
  readonly expiresAtMs?: number;
  /** Only where the contract promises it: fetches under a consumer's name, and every push. */
  readonly deliveries: number | undefined;
}

/** A page of a read or a fetch. */
export interface Page {
  readonly epoch: string;
  readonly messages: readonly Received[];
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly nextSequence: number;
}

/** Bounds of a read; what is left out takes the server's default. */
export interface ReadOptions {
  readonly from?: number | string;
  readonly limit?: number;
  readonly bodyBytesMax?: number;
  readonly waitMs?: number;
  readonly deliver?: "body" | "decoded" | "pointer";
}

/** Bounds of a fetch under a consumer's name. */
export interface FetchOptions extends Omit<ReadOptions, "from"> {
  readonly autoAck?: boolean;
}

/** What is acknowledged: everything through a sequence, or exactly these. */
export type Settled = { readonly sequence: number } | { readonly sequences: readonly number[] };

/** The behaviour that both transports share. Every call rejects with `ClientError` when the server refuses. */
export interface StreamClient {
  publish(draft: Draft): Promise<Receipt>;
  /** A publish that must be answered as one that is committed later. */
  schedule(draft: Draft): Promise<Scheduled>;
  /** A publish that waits for `acked`, or `acked:N`. */
  publishWaiting(draft: Draft, wait: string, waitMs?: number): Promise<Acknowledged>;
  /** Results in the order of the drafts. */
  publishBatch(drafts: readonly Draft[]): Promise<readonly (Receipt | ClientError)[]>;
  /** The same with messages that may be committed later. */
  submitBatch(drafts: readonly Draft[]): Promise<readonly (Receipt | Scheduled | ClientError)[]>;
  read(subject: string, options?: ReadOptions): Promise<Page>;
  fetch(subject: string, consumer: string, options?: FetchOptions): Promise<Page>;
  ack(subject: string, consumer: string, settled: Settled): Promise<{ ackedThrough: number; moved: boolean }>;
  /** How many come again. */
  nack(
    subject: string,
    consumer: string,
    sequences: readonly number[],
    delayMs?: number,
    error?: string,
  ): Promise<number>;
  /** What comes to a subject by itself, from `new` on when nothing else is said; it ends with the client. */
  follow(subject: string, options?: Pick<ReadOptions, "from" | "deliver">): Promise<Live>;
  close(): Promise<void>;
}

/** A refusal by the server: the code is stable, the rest of the fields is beside it. */
export class ClientError extends Error {
  override readonly name = "ClientError";
  readonly code: string;
  readonly retryable: boolean;
  /** Everything that came with it, e.g. `last_sequence`. */
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(code: string, retryable: boolean, detail: string, fields: Readonly<Record<string, unknown>>) {
    super(`${code}: ${detail}`);
    this.code = code;
    this.retryable = retryable;
    this.fields = fields;
  }
}

/** Reads `{code, detail, retryable, …}`. */
export const parseError = (raw: unknown, where: string): ClientError => {
  const map = new WireMap(raw, where);
  const code = map.string("code");
  if (!/^[a-z]+(_[a-z]+)*$/.test(code)) throw new ContractError(`${where}: code is ${code}`);
  if (map.has("stack")) throw new ContractError(`${where}: a stack was sent`);
  return new ClientError(code, map.boolean("retryable"), map.string("detail"), map.fields);
};

/** Reads `{subject, sequence, timestamp, duplicate}`. */
export const parseReceipt = (map: WireMap): Receipt => ({
  subject: map.string("subject"),
  sequence: map.integer("sequence", 1),
  timestampMs: map.integer("timestamp", 1),
  duplicate: map.boolean("duplicate"),
});

/** Reads the same, or `{subject, scheduled_id, deliver_at, duplicate}`. */
export const parsePublished = (map: WireMap): Receipt | Scheduled => {
  if (!map.has("scheduled_id")) return parseReceipt(map);
  if (map.has("sequence") || map.has("timestamp")) throw new ContractError("it is scheduled and has a sequence");
  if (map.string("scheduled_id") === "") throw new ContractError("scheduled_id is empty");
  return {
    subject: map.string("subject"),
    scheduledId: map.string("scheduled_id"),
    deliverAtMs: map.integer("deliver_at", 1),
    duplicate: map.boolean("duplicate"),
  };
};

/** Whether it is committed later. */
export const isScheduled = (published: Receipt | Scheduled | ClientError): published is Scheduled =>
  "scheduledId" in published;

/** It must have been committed at once. */
export const asCommitted = <T extends Receipt | ClientError>(published: T | Scheduled): T => {
  if (isScheduled(published)) throw new ContractError("it was scheduled");
  return published;
};

/** It must be committed later. */
export const asScheduled = (published: Receipt | Scheduled | ClientError | undefined): Scheduled => {
  if (published instanceof ClientError) throw published;
  if (published === undefined || !isScheduled(published)) throw new ContractError("it was not scheduled");
  return published;
};

/** Reads what a publish that waited says beside its receipt. */
export const parseAcknowledged = (map: WireMap): Acknowledged => ({
  ...parseReceipt(map),
  acked: map.integer("acked"),
  recipientsTotal: map.integer("recipients_total"),
  acknowledged: map.boolean("acknowledged"),
});

/** Reads a pointer. */
export const parsePointer = (raw: unknown): Pointer => {
  const map = new WireMap(raw, "pointer");
  if (map.string("format") !== "s3-pointer-v1") throw new ContractError(`the format is ${map.string("format")}`);
  if (map.string("bucket") === "" || map.string("key") === "") throw new ContractError("it names no object");
  map.integer("offset");
  return {
    length: map.integer("length"),
    size: map.integer("size"),
    sha256: map.string("sha256"),
    contentEncoding: map.fields["content_encoding"] === null ? null : map.string("content_encoding"),
    url: map.string("url"),
    headers: map.strings("headers"),
    expiresAtMs: map.integer("expires_at", 1),
  };
};

/** Reads the results of a batch. */
export const parseResults = (map: WireMap, where: string): (Receipt | Scheduled | ClientError)[] =>
  map.list("results").map((raw, index) => {
    const result = new WireMap(raw, `${where}.results[${index}]`);
    return result.has("error")
      ? parseError(result.fields["error"], `${where}.results[${index}]`)
      : parsePublished(result);
  });

/** Reads what surrounds the messages of a page. */
export const parsePageEnds = (map: WireMap): Omit<Page, "messages"> => ({
  epoch: map.string("epoch"),
  firstSequence: map.integer("first_sequence", 1),
  lastSequence: map.integer("last_sequence"),
  nextSequence: map.integer("next_sequence", 1),
});

/** Reads a message map with the HTTP field names; `readBody` knows how the bytes are written in this format. */
export const parseMessage = (map: WireMap, readBody: () => Uint8Array): Received => {
  const pointer = map.has("pointer") ? parsePointer(map.fields["pointer"]) : undefined;
  if (pointer !== undefined && (map.has("data") || map.has("data_base64"))) throw new ContractError("both are there");
  const body = pointer === undefined ? readBody() : new Uint8Array();
  const { size, sha256 } = pointer ?? { size: body.length, sha256: sha256Hex(body) };
  if (map.has("size") && map.integer("size") !== size) throw new ContractError("size is not the body's length");
  if (map.has("sha256") && map.string("sha256") !== sha256) throw new ContractError("sha256 is not the body's");
  return {
    subject: map.string("subject"),
    sequence: map.integer("sequence", 1),
    timestampMs: map.integer("timestamp", 1),
    headers: map.strings("headers"),
    body,
    ...(pointer !== undefined && { pointer }),
    ...(map.has("expires_at") && { expiresAtMs: map.integer("expires_at", 1) }),
    deliveries: map.has("deliveries") ? map.integer("deliveries", 1) : undefined,
  };
};

/** The fields of a draft in a batch or a frame, beside its body. */
export const draftFields = (draft: Draft): Record<string, unknown> => ({
  subject: draft.subject,
  ...(draft.headers === undefined ? {} : { headers: draft.headers }),
  ...(draft.messageId === undefined ? {} : { message_id: draft.messageId }),
  ...(draft.expectedLastSequence === undefined ? {} : { expected_last_sequence: draft.expectedLastSequence }),
  ...(draft.ttlMs === undefined ? {} : { ttl_ms: draft.ttlMs }),
  ...(draft.delayMs === undefined ? {} : { delay_ms: draft.delayMs }),
  ...(draft.deliverAtMs === undefined ? {} : { deliver_at: draft.deliverAtMs }),
});

/** Bytes of a body. */
export const bodyBytes = (body: Uint8Array | string): Uint8Array =>
  typeof body === "string" ? new TextEncoder().encode(body) : body;

const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: false, int64AsType: "number" });

/** Writes msgpack; integers above 32 bits must be given as BigInt. */
export const packMsgpack = (value: unknown): Uint8Array => new Uint8Array(packr.pack(value));

/** The fields of a draft for msgpack, body included. */
export const msgpackDraft = (draft: Draft): Record<string, unknown> => ({
  ...draftFields(draft),
  ...(draft.deliverAtMs === undefined ? {} : { deliver_at: BigInt(draft.deliverAtMs) }),
  data: bodyBytes(draft.body),
});

/** Reads one msgpack value strictly: no floats, no extensions, nothing behind it. */
export const unpackMsgpack = (bytes: Uint8Array, where: string): unknown => {
  scanMsgpack(bytes, where);
  return asPlain(unpackr.unpack(bytes), where);
};

const asPlain = (value: unknown, where: string): unknown => {
  if (Array.isArray(value)) return value.map((item) => asPlain(item, where));
  if (!(value instanceof Map)) return value;
  // fromEntries defines every key as an own property, `__proto__` too.
  return Object.fromEntries(
    [...(value as Map<unknown, unknown>)].map(([key, item]) => {
      if (typeof key !== "string") throw new ContractError(`${where}: a map key is not a string`);
      return [key, asPlain(item, where)];
    }),
  );
};
