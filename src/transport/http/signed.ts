/**
 * Signed addresses of our own, for stores that have none which clients could reach: who has one reads one body, or puts
 * one, without a token.
 * @module
 */
import { largeBodyBytesMin } from "../../core/limits.ts";
import { putSignedOperation, signedBodyOperation } from "./openapi/signed.ts";
import { type HttpServices, type OpenCall, pathParameter, type Route } from "./route.ts";
import { wholeBody } from "./whole-body.ts";

const path = "/v1/bodies/:token";

/** The routes of signed addresses. */
export const signedRoutes = (services: HttpServices): readonly Route[] => [
  { method: "GET", path, open: true, handle: (call) => sendBody(call, services), operation: signedBodyOperation },
  { method: "PUT", path, open: true, handle: (call) => takeBody(call, services), operation: putSignedOperation },
];

const sendBody = async (call: OpenCall, { broker, budget }: HttpServices): Promise<Response> => {
  const { length, bytes } = await broker.signedBody(pathParameter(call, "token"));
  const headers = {
    "content-type": "application/octet-stream",
    // The address is a secret for as long as it works.
    "cache-control": "private, no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox",
  };
  if (call.request.method === "HEAD") {
    return new Response(null, { headers: { ...headers, "content-length": String(length) } });
  }
  if (length >= largeBodyBytesMin) await budget.take(call.request, length);
  return new Response(await wholeBody(bytes, length), { headers });
};

const takeBody = async (call: OpenCall, { broker }: HttpServices): Promise<Response> => {
  const token = pathParameter(call, "token");
  const hasher = new Bun.CryptoHasher("sha256");
  await broker.receiveUpload(token, hashed(call.intake.chunks(broker.bodyBytesMax), hasher), call.request.signal);
  return new Response(null, { headers: { etag: `"${hasher.digest("hex")}"` } });
};

/** The chunks, which the hasher sees on their way. */
async function* hashed(chunks: AsyncIterable<Uint8Array>, hasher: Bun.CryptoHasher): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    hasher.update(chunk);
    yield chunk;
  }
}
