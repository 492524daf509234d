/**
 * What goes into the commands of the foreign clients and what comes out.
 * @module
 */
import { base64Bytes, WireMap } from "../wire.ts";

export type Language = "Go" | "Python";
/** Which of protos/early.proto and protos/later.proto the stubs are made of. */
export type Generation = "early" | "later";

/** A call that ended with another status than OK. */
export class GrpcError extends Error {
  override readonly name = "GrpcError";
  /** As the specification writes it, such as `RESOURCE_EXHAUSTED`. */
  readonly code: string;
  /** Values of names that end with `-bin` are base64. */
  readonly trailers: Readonly<Record<string, string>>;
  /** What a Fetch had delivered before. */
  readonly messages: readonly ForeignMessage[];

  constructor(map: WireMap, messages: readonly ForeignMessage[] = []) {
    super(`${map.string("code")}: ${map.string("message")}`);
    this.code = map.string("code");
    this.trailers = map.strings("trailers");
    this.messages = messages;
  }
}

/** Bytes as given, or a pattern that both ends can make: byte i is (seed + i) mod 251. */
export type ForeignBody = Uint8Array | string | { readonly size: number; readonly seed?: number };

/** How a client connects. */
export interface ChannelOptions {
  /** Largest message that is taken, in bytes; 4 MiB, as a program that says nothing has it. */
  readonly receiveBytesMax?: number;
  /** File of the certificates to trust; without it there is no TLS. */
  readonly roots?: string;
  /** Requests are sent through gzip. */
  readonly compress?: boolean;
}

/** What every call can have. */
export interface CallOptions {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly deadlineMs?: number;
}

/** A message on its way in. */
export interface ForeignDraft extends CallOptions {
  readonly subject: string;
  readonly body: ForeignBody;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What a Publish answered. */
export interface Published {
  readonly sequence: number;
  /** Every other field that was set, by the name that it has in the stubs' generation. */
  readonly others: Readonly<Record<string, unknown>>;
  /** The whole answer as it was on the wire, in hexadecimal digits. */
  readonly wire: string;
}

/** A message that a Fetch delivered. */
export interface ForeignMessage {
  readonly subject: string;
  readonly sequence: number;
  readonly size: number;
  readonly sha256: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timestampMs: number;
  /** Up to 1 KiB; of a larger one there are only its size and its sum. */
  readonly body: Uint8Array | undefined;
}

/** What a Fetch answered. */
export interface Fetched {
  readonly messages: readonly ForeignMessage[];
  readonly trailers: Readonly<Record<string, string>>;
}

/** A subject, and whose position on it. */
export interface Position {
  readonly subject: string;
  readonly durable: string;
}

/** The bytes of a body. */
export const bytesOf = (body: ForeignBody): Uint8Array => {
  if (typeof body === "string") return Buffer.from(body, "utf8");
  if (body instanceof Uint8Array) return body;
  const { size, seed = 0 } = body;
  return new Uint8Array(size).map((_, index) => (seed + index) % 251);
};

/** The body of a command. */
export const bodyFields = (body: ForeignBody): Record<string, unknown> =>
  typeof body === "string" || body instanceof Uint8Array
    ? { data_base64: Buffer.from(bytesOf(body)).toString("base64") }
    : { size: body.size, seed: body.seed ?? 0 };

/** The options of a command. */
export const callFields = ({ metadata = {}, deadlineMs }: CallOptions): Record<string, unknown> => ({
  metadata,
  ...(deadlineMs !== undefined && { deadline_ms: deadlineMs }),
});

/** Reads what a Fetch answered. */
export const asFetched = (answer: WireMap): Fetched => ({
  messages: answer.list("messages").map(asMessage),
  trailers: answer.strings("trailers"),
});

/** Reads one message of it. */
export const asMessage = (raw: unknown): ForeignMessage => {
  const map = new WireMap(raw, "message");
  return {
    subject: map.string("subject"),
    sequence: map.integer("sequence", 1),
    size: map.integer("size"),
    sha256: map.string("sha256"),
    headers: map.strings("headers"),
    timestampMs: map.integer("timestamp_ms", 1),
    body: map.has("data_base64") ? base64Bytes(map.string("data_base64"), "message") : undefined,
  };
};
