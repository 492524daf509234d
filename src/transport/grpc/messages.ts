/**
 * The messages of `proto/minitoolstream.proto` on the wire.
 * @module
 */
import type { Delivery } from "../../broker/contract.ts";
import type { Headers, Sequence } from "../../core/message.ts";
import { delimitedSize, ProtoReader, ProtoWriter, varintSize } from "./protobuf.ts";

/** `PublishRequest`, not checked. */
export interface PublishRequest {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: Headers | undefined;
}

const empty = Buffer.alloc(0);

/** Adds one entry of a `map<string, string>`; as in every protobuf the last of a name counts. */
export const readMapEntry = (bytes: Buffer, into: Record<string, string>): void => {
  const entry = new ProtoReader(bytes);
  let name = "";
  let value = "";
  while (entry.next()) {
    if (entry.field === 1) name = entry.string();
    else if (entry.field === 2) value = entry.string();
    else entry.skip();
  }
  // An assignment to __proto__ would not make an entry.
  if (name === "__proto__") {
    Object.defineProperty(into, name, { value, enumerable: true, configurable: true, writable: true });
  } else into[name] = value;
};

export const readPublishRequest = (bytes: Buffer): PublishRequest => {
  const reader = new ProtoReader(bytes);
  let subject = "";
  let data: Uint8Array = empty;
  let headers: Record<string, string> | undefined;
  while (reader.next()) {
    if (reader.field === 1) subject = reader.string();
    else if (reader.field === 2) data = reader.sub();
    else if (reader.field === 3) readMapEntry(reader.sub(), (headers ??= {}));
    else reader.skip();
  }
  return { subject, data, headers };
};

/**
 * `PublishResponse` of a success: the sequence alone, because the two generations of clients disagree about the rest.
 */
export const writePublishResponse = (sequence: Sequence): Buffer => new ProtoWriter(16).number(1, sequence).done();

/** `GetLastSequenceRequest`: the subject, not checked. */
export const readSubjectRequest = (bytes: Buffer): string => {
  const reader = new ProtoReader(bytes);
  let subject = "";
  while (reader.next()) {
    if (reader.field === 1) subject = reader.string();
    else reader.skip();
  }
  return subject;
};

export const writeLastSequence = (sequence: Sequence): Buffer => new ProtoWriter(16).number(1, sequence).done();

/** `FetchRequest`, not checked. */
export interface FetchRequest {
  readonly subject: string;
  readonly durableName: string;
  readonly batchSize: number;
}

export const readFetchRequest = (bytes: Buffer): FetchRequest => {
  const reader = new ProtoReader(bytes);
  let subject = "";
  let durableName = "";
  let batchSize = 0;
  while (reader.next()) {
    if (reader.field === 1) subject = reader.string();
    else if (reader.field === 2) durableName = reader.string();
    else if (reader.field === 3) batchSize = reader.int32();
    else reader.skip();
  }
  return { subject, durableName, batchSize };
};

/** `SubscribeRequest`, not checked; `consumer_group` and `durable_name` are the same field. */
export interface SubscribeRequest {
  readonly subject: string;
  readonly startSequence: number | undefined;
  readonly durableName: string;
}

export const readSubscribeRequest = (bytes: Buffer): SubscribeRequest => {
  const reader = new ProtoReader(bytes);
  let subject = "";
  let startSequence: number | undefined;
  let durableName = "";
  while (reader.next()) {
    if (reader.field === 1) subject = reader.string();
    else if (reader.field === 2) startSequence = reader.uint64();
    else if (reader.field === 3) durableName = reader.string();
    else reader.skip();
  }
  return { subject, startSequence, durableName };
};

/** A framed `Notification`. */
export const frameNotification = (subject: string, sequence: Sequence): Buffer => {
  const length = delimitedSize(Buffer.byteLength(subject)) + 1 + varintSize(sequence);
  return new ProtoWriter(length + 16).framePrefix(length).string(1, subject).number(2, sequence).done();
};

/** `AckRequest`, not checked. */
export interface AckRequest {
  readonly durableName: string;
  readonly subject: string;
  readonly sequence: number;
}

export const readAckRequest = (bytes: Buffer): AckRequest => {
  const reader = new ProtoReader(bytes);
  let durableName = "";
  let subject = "";
  let sequence = 0;
  while (reader.next()) {
    if (reader.field === 1) durableName = reader.string();
    else if (reader.field === 2) subject = reader.string();
    else if (reader.field === 3) sequence = reader.uint64();
    else reader.skip();
  }
  return { durableName, subject, sequence };
};

/** `AckResponse` of a success. */
export const writeAckResponse = (): Buffer => new ProtoWriter(4).bool(1, true).done();

const dataSizeHeader = "data-size";

/** Bytes of one entry of a `map<string, string>`. */
export const mapEntrySize = (name: string, value: string): number => {
  const entry = delimitedSize(Buffer.byteLength(name)) + delimitedSize(Buffer.byteLength(value));
  return delimitedSize(entry);
};

/**
 * Writes one framed `Message` without the bytes of its body, which go last and directly behind. The header
 * `data-size` is the length of the body, whatever the publisher wrote there.
 */
export const writeMessageHead = (
  writer: ProtoWriter,
  { subject, sequence, timestampMs, headers, body }: Delivery,
): void => {
  const seconds = Math.floor(timestampMs / 1000);
  const nanos = (timestampMs % 1000) * 1_000_000;
  const timeLength = (seconds === 0 ? 0 : 1 + varintSize(seconds)) + (nanos === 0 ? 0 : 1 + varintSize(nanos));
  const size = String(body.length);
  let length = delimitedSize(Buffer.byteLength(subject)) + 1 + varintSize(sequence) + delimitedSize(timeLength);
  for (const name in headers) {
    if (name !== dataSizeHeader) length += mapEntrySize(name, headers[name] ?? "");
  }
  length += mapEntrySize(dataSizeHeader, size);
  if (body.length > 0) length += delimitedSize(body.length);
  writer.framePrefix(length, length - body.length);
  writer.string(1, subject).number(2, sequence);
  for (const name in headers) {
    if (name !== dataSizeHeader) writer.mapEntry(4, name, headers[name] ?? "");
  }
  writer.mapEntry(4, dataSizeHeader, size);
  writer.head(5, timeLength).number(1, seconds).number(2, nanos);
  if (body.length > 0) writer.head(3, body.length, 0);
};
