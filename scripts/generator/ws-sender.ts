/**
 * Events as plain messages on `events.{event_type}`, published over WebSocket with the SDK.
 * @module
 */
import { connect, MtsError } from "../../src/client/index.ts";
import { eventBody } from "../../src/codec/event.ts";
import { eventSubject } from "../../src/core/event.ts";
import type { Options } from "./options.ts";
import { answerMsMax, isUnknownCode, type Sender, type SendFailure } from "./sender.ts";

const connectMsMax = 10_000;
const headers = { "content-type": "application/json" };

/** Connects. @throws Error when nobody answers */
export const connectWsSender = async ({ url, token, batch, window }: Options): Promise<Sender> => {
  const queuedMax = batch * window + 1;
  const mts = connect(url, { token, queuedMax, inFlightMax: queuedMax, timeoutMs: answerMsMax });
  try {
    await mts.connected({ timeoutMs: connectMsMax });
  } catch (error) {
    await mts.close({ timeoutMs: 0 });
    throw new Error(`no WebSocket at ${url}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  return {
    async send(events) {
      const receipts = await mts.publishBatch(
        events.map((event) => ({
          subject: eventSubject(event.eventType),
          body: eventBody(event),
          headers,
          messageId: event.key,
        })),
      );
      let stored = 0;
      let duplicates = 0;
      const failures: SendFailure[] = [];
      for (const [index, receipt] of receipts.entries()) {
        if (receipt instanceof MtsError) {
          failures.push({ index, code: receipt.code, detail: receipt.message, isUnknown: isUnknownCode(receipt.code) });
        } else if (receipt.duplicate) duplicates++;
        else stored++;
      }
      return { stored, duplicates, failures, unnamed: 0 };
    },
    close: () => mts.close(),
  };
};
