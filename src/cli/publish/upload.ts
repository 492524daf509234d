/**
 * Publishes one large body over HTTP, chunk by chunk, so that it is never whole in memory.
 * @module
 */
import { MtsError } from "../../client/index.ts";
import { CliFailure } from "../command.ts";
import { BrokenOffError, type HttpApi, segment, type View } from "../http.ts";
import { type Acknowledgements, type Published, requestTiming, type Timing } from "./timing.ts";

/** Attempts, with pauses that double. */
const attemptsMax = 5;
const pauseMsMin = 200;

/** A body to upload. */
export interface Upload {
  readonly subject: string;
  /** Message headers in the form of a request. */
  readonly headers: Headers;
  /** Undefined where only the end shows it. */
  readonly bytes: number | undefined;
  readonly messageId: string | undefined;
  readonly expectedLast: number | undefined;
  readonly timing: Timing;
  chunks(): AsyncIterable<Uint8Array>;
  /** The source can be read again from its beginning. */
  readonly isRepeatable: boolean;
  /** Called with the bytes that went out in this attempt. */
  readonly onSent: (bytes: number) => void;
}

/** Uploads, again when that may help: under an id, so that nothing is stored twice. @throws MtsError, CliFailure */
export const upload = async (api: HttpApi, body: Upload, signal: AbortSignal): Promise<Published> => {
  const ownId = body.messageId === undefined ? crypto.randomUUID() : undefined;
  const messageId = body.messageId ?? ownId;
  for (let attempt = 1; ; attempt++) {
    try {
      const receipt = receiptOf(await send(api, body, messageId));
      // Under an id of our own a duplicate is what an earlier attempt stored.
      return ownId === undefined ? receipt : { ...receipt, duplicate: false };
    } catch (thrown) {
      const mayHelp = thrown instanceof MtsError ? thrown.retryable : thrown instanceof BrokenOffError;
      if (!mayHelp || !body.isRepeatable || attempt === attemptsMax || signal.aborted) throw thrown;
      await pause(pauseMsMin * 2 ** (attempt - 1), signal);
    }
  }
};

const send = async (api: HttpApi, body: Upload, messageId: string | undefined): Promise<View> => {
  const headers = new Headers(body.headers);
  if (body.bytes !== undefined) headers.set("content-length", String(body.bytes));
  if (messageId !== undefined) headers.set("idempotency-key", Buffer.from(messageId, "utf8").toString("latin1"));
  if (body.expectedLast !== undefined) headers.set("expected-last-sequence", String(body.expectedLast));
  const timing = requestTiming(body.timing);
  for (const [name, value] of Object.entries(timing.headers)) headers.set(name, value);
  const path = `/v1/subjects/${segment(body.subject)}/messages${timing.query}`;
  return api.request(path, { method: "POST", headers, body: streamOf(body) });
};

/** Pulled: the next chunk is read when the one before went out. */
const streamOf = (body: Upload): ReadableStream<Uint8Array> => {
  const chunks = body.chunks()[Symbol.asyncIterator]();
  let sent = 0;
  return new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        const next = await chunks.next();
        if (next.done === true) {
          controller.close();
          return;
        }
        controller.enqueue(next.value);
        sent += next.value.length;
        body.onSent(sent);
      },
      cancel: async () => {
        await chunks.return?.();
      },
    },
    { highWaterMark: 0 },
  );
};

const receiptOf = (view: View): Published => {
  const { subject, sequence, timestamp, scheduled_id: scheduledId, deliver_at: deliverAt } = view;
  const duplicate = view["duplicate"] === true;
  if (typeof subject === "string" && typeof scheduledId === "string" && typeof deliverAt === "number") {
    return { subject, scheduledId, deliverAt, duplicate };
  }
  if (typeof subject !== "string" || typeof sequence !== "number" || typeof timestamp !== "number") {
    throw new CliFailure("the server's answer is none to a publish; check --url");
  }
  const acknowledgements = acknowledgementsOf(view);
  return { subject, sequence, timestamp, duplicate, ...(acknowledgements !== undefined && { acknowledgements }) };
};

const acknowledgementsOf = ({ acked, recipients_total: total, acknowledged }: View): Acknowledgements | undefined =>
  acknowledged === undefined
    ? undefined
    : {
        acked: typeof acked === "number" ? acked : null,
        recipientsTotal: typeof total === "number" ? total : null,
        acknowledged: acknowledged === true,
      };

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    signal.addEventListener("abort", stop, { once: true });
  });
