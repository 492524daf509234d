/**
 * The body of a single publish: its bytes, small ones in memory and large ones into the store as they come; or a
 * pointer to an upload in place of them.
 * @module
 */
import { parsePublishedPointer } from "../../codec/pointer.ts";
import type { StreamError } from "../../core/errors.ts";
import { largeBodyBytesMin } from "../../core/limits.ts";
import type { BodyRef, Headers as MessageHeaders } from "../../core/message.ts";
import { pointerMediaType } from "../../core/pointer.ts";
import type { Subject } from "../../core/subject.ts";
import { bodyTooLarge, contentLength, parseStructured } from "./body.ts";
import { messageHeaders } from "./header.ts";
import { checkContentEncoding, parseContentType } from "./media.ts";
import type { HttpCall } from "./route.ts";

/** A pointer is a few short fields. */
const pointerBytesMax = 64 * 1024;

/** What is published. */
interface Published {
  readonly headers: MessageHeaders;
  readonly body: Uint8Array | BodyRef;
}

/**
 * The headers and the body of the message.
 * @throws StreamError `invalid_header`, `body_too_large`, `body_too_slow`, `invalid_pointer`, `upload_not_found`,
 *   `upload_mismatch`
 */
export const readPublished = async (call: HttpCall, subject: Subject): Promise<Published> => {
  const headers = messageHeaders(call.request.headers);
  if (isPointer(headers)) return takePointed(call, subject, headers);
  return { headers, body: await readMessageBody(call, () => call.caller.publishRefusal(subject)) };
};

const isPointer = (headers: MessageHeaders): boolean => {
  const type = headers["content-type"];
  // Cheap for the types that everybody sends.
  return type?.includes("pointer") === true && parseContentType(type).type === pointerMediaType;
};

/** What the pointer says of its body takes the place of what the request says of the pointer. */
const takePointed = async (call: HttpCall, subject: Subject, sent: MessageHeaders): Promise<Published> => {
  checkContentEncoding(call.request);
  const raw = parseStructured(await call.intake.bytes(pointerBytesMax), "json");
  const pointer = parsePublishedPointer(subject, raw, call.broker.bodyBytesMax);
  const kept = Object.entries(sent).filter(([name]) => name !== "content-type" && name !== "content-encoding");
  const body = await call.broker.takeUpload(pointer.claim, pointer.key);
  return { headers: { ...Object.fromEntries(kept), ...pointer.headers }, body };
};

/**
 * Small bodies in memory, large ones into the store as they come; the length may only show while reading.
 * @param refusal why a large one need not be taken in at all
 */
const readMessageBody = async (
  { request, broker, intake }: HttpCall,
  refusal: () => StreamError | undefined,
): Promise<Uint8Array | BodyRef> => {
  const { bodyBytesMax } = broker;
  const length = contentLength(request);
  if (length !== undefined && length > bodyBytesMax) throw bodyTooLarge(bodyBytesMax);
  if (length !== undefined && length < largeBodyBytesMin) return intake.bytes(bodyBytesMax);
  const refused = refusal();
  if (refused !== undefined) throw refused;
  const chunks = intake.chunks(bodyBytesMax);
  const { head, ended } = await readHead(chunks);
  return ended ? Buffer.concat(head) : broker.storeBody(rejoin(head, chunks), request.signal);
};

/** Collects chunks until the body has ended or is large. */
const readHead = async (chunks: AsyncIterator<Uint8Array>): Promise<{ head: Uint8Array[]; ended: boolean }> => {
  const head: Uint8Array[] = [];
  for (let bytes = 0; bytes < largeBodyBytesMin; ) {
    const next = await chunks.next();
    if (next.done === true) return { head, ended: true };
    bytes += next.value.length;
    head.push(next.value);
  }
  return { head, ended: false };
};

async function* rejoin(head: Uint8Array[], rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* head.splice(0);
  yield* rest;
}
