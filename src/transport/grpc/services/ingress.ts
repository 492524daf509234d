/**
 * `minitoolstream.IngressService`, as the original system's clients know it.
 * @module
 */
import { parseHeaders } from "../../../codec/draft.ts";
import { StreamError } from "../../../core/errors.ts";
import { type Headers, isScheduled } from "../../../core/message.ts";
import { parseSubject } from "../../../core/subject.ts";
import { readPublishRequest, writePublishResponse } from "../messages.ts";
import type { GrpcCall, Route } from "../method.ts";
import { scheduledTrailers, timingOf } from "../request-metadata.ts";

const noHeaders: Headers = Object.freeze({});

const publish = async (request: Buffer, call: GrpcCall): Promise<Uint8Array> => {
  const { broker } = call;
  const { subject, data, headers } = readPublishRequest(request);
  if (data.length > broker.bodyBytesMax) throw bodyTooLarge(broker.bodyBytesMax);
  const [outcome] = await broker.publish([
    {
      subject: parseSubject(subject),
      headers: headers === undefined ? noHeaders : parseHeaders(headers),
      body: data,
      ...timingOf(call.metadata, false),
    },
  ]);
  if (outcome === undefined) throw new StreamError("internal", "A publish was not answered.");
  if (outcome instanceof StreamError) throw outcome;
  if (!isScheduled(outcome)) return writePublishResponse(outcome.sequence);
  // It has no sequence yet, which is what 0 says.
  call.addTrailers(scheduledTrailers(outcome));
  return writePublishResponse(0);
};

const bodyTooLarge = (bytesMax: number): StreamError =>
  new StreamError("body_too_large", `The body is larger than ${bytesMax} bytes.`, { max_body_bytes: bytesMax });

/** The methods. */
export const ingressRoutes: readonly Route[] = [
  { path: "/minitoolstream.IngressService/Publish", method: { kind: "unary", handle: publish } },
];
