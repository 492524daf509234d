/**
 * The endless answers of what is mounted: server-sent events that count as open tails, so that they end when the server
 * stops, are never silent for long, and take their place among the requests of their address.
 * @module
 */
import { mediaTypes } from "./accept.ts";
import type { HttpServices } from "./route.ts";
import { SseOutput } from "./sse-output.ts";

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
  // One chunk ahead of the client, whatever its size: what is behind the answer has a bound of its own.
  const output = new SseOutput(tails, { highWaterMark: 1 });
  const source = {
    resume: async (): Promise<void> => {
      const { done, value } = await reader.read().catch(() => ({ done: true, value: undefined }));
      if (value !== undefined) output.send(value);
      if (done) output.end();
    },
    close: (): void => void reader.cancel().catch(() => undefined),
  };
  output.open(source, request);
  return new Response(output.body, { status: response.status, headers: response.headers });
};
