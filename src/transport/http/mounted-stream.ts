/**
 * The endless answers of what is mounted: server-sent events that count as open tails, so that they end when the server
 * stops, are never silent for long, and take their place among the requests of their address.
 * @module
 */
import { mediaTypes } from "./accept.ts";
import type { HttpServices } from "./route.ts";
import { keepAliveComment } from "./sse.ts";
import type { OpenTail } from "./tails.ts";

const utf8 = new TextEncoder();

/** The answer as it is, or held as a tail when it is a stream of events. */
export const heldStream = (
  response: Response,
  request: Request,
  { tails, keepOpen }: Pick<HttpServices, "tails" | "keepOpen">,
): Response => {
  const type = response.headers.get("content-type") ?? "";
  if (!type.startsWith(mediaTypes.events[0]) || response.body === null) return response;
  keepOpen(request);
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  let output: ReadableStreamDefaultController<Uint8Array> | undefined;
  let ended = false;
  const stop = (): void => {
    if (ended) return;
    ended = true;
    tails.delete(tail);
    void reader.cancel().catch(() => undefined);
  };
  const tail: OpenTail = {
    keepAlive: () => {
      if (!ended && (output?.desiredSize ?? 0) > 0) output?.enqueue(utf8.encode(keepAliveComment));
    },
    end: () => {
      if (ended) return;
      stop();
      output?.close();
    },
  };
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      output = controller;
    },
    pull: async (controller) => {
      const { done, value } = await reader.read().catch(() => ({ done: true, value: undefined }));
      if (ended) return;
      if (value !== undefined) controller.enqueue(value);
      if (done) tail.end();
    },
    cancel: stop,
  });
  tails.add(tail, request);
  if (request.signal.aborted) tail.end();
  else request.signal.addEventListener("abort", () => tail.end(), { once: true });
  return new Response(body, { status: response.status, headers: response.headers });
};
