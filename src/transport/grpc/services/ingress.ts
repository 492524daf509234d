/**
 * `minitoolstream.IngressService`, as the original system's clients know it.
 * @module
 */
import { parseHeaders } from "../../../codec/draft.ts";
import { StreamError } from "../../../core/errors.ts";
import type { Headers } from "../../../core/message.ts";
import { parseSubject } from "../../../core/subject.ts";
import { readPublishRequest, writePublishResponse } from "../messages.ts";
import type { GrpcCall, Route } from "../method.ts";

const noHeaders: Headers = Object.freeze({});

const publish = async (request: Buffer, { broker }: GrpcCall): Promise<Uint8Array> => {
  const { subject, data, headers } = readPublishRequest(request);
  if (data.length > broker.bodyBytesMax) throw bodyTooLarge(broker.bodyBytesMax);
  const [outcome] = await broker.publish([
    {
      subject: parseSubject(subject),
      headers: headers === undefined ? noHeaders : parseHeaders(headers),
      body: data,
    },
  ]);
  if (outcome === undefined) throw new StreamError("internal", "A publish was not answered.");
  if (outcome instanceof StreamError) throw outcome;
  return writePublishResponse(outcome.sequence);
};

const bodyTooLarge = (bytesMax: number): StreamError =>
  new StreamError("body_too_large", `The body is larger than ${bytesMax} bytes.`, { max_body_bytes: bytesMax });

/** The methods. */
export const ingressRoutes: readonly Route[] = [
  { path: "/minitoolstream.IngressService/Publish", method: { kind: "unary", handle: publish } },
];
