/**
 * `eventhub.EventHub`: SendEvent for single events, SendEvents for a batch.
 * @module
 */
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { callClientStream, callUnary, loadService, methodOf } from "../../src/testing/grpc-client.ts";
import type { GeneratedEvent } from "./events.ts";
import type { Options } from "./options.ts";
import {
  answerMsMax,
  failedTogether,
  isUnknownCode,
  type Sender,
  type SendFailure,
  type SendOutcome,
} from "./sender.ts";

const connectMsMax = 10_000;

const requestOf = ({ userId, eventType, amountCents, timestamp, key }: GeneratedEvent): object => ({
  user_id: userId,
  event_type: eventType,
  amount: amountCents / 100,
  timestamp,
  ...(key !== undefined && { idempotency_key: key }),
});

/** Connects. @throws Error when nobody answers */
export const connectGrpcSender = async ({ grpc, token, batch }: Options): Promise<Sender> => {
  const methods = loadService("event_hub.proto", "eventhub.EventHub");
  const sendEvent = methodOf(methods, "SendEvent");
  const sendEvents = methodOf(methods, "SendEvents");
  const client = new Client(grpc.target, grpc.isEncrypted ? credentials.createSsl() : credentials.createInsecure());
  await new Promise<void>((resolve, reject) =>
    client.waitForReady(Date.now() + connectMsMax, (error) => {
      if (error === undefined) resolve();
      else reject(new Error(`nothing answers gRPC at ${grpc.target}; give its address with --grpc`));
    }),
  );
  const metadata = new Metadata();
  if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);

  const sendOne = async (event: GeneratedEvent): Promise<SendOutcome> => {
    const { fields } = await callUnary(client, sendEvent, requestOf(event), metadata, answerMsMax);
    const isDuplicate = fields["duplicate"] === true;
    return { stored: isDuplicate ? 0 : 1, duplicates: isDuplicate ? 1 : 0, failures: [], unnamed: 0 };
  };

  const sendMany = async (events: readonly GeneratedEvent[]): Promise<SendOutcome> => {
    const requests = events.map(requestOf);
    const { fields } = await callClientStream(client, sendEvents, requests, metadata, answerMsMax);
    // What is 0 is left out on the wire.
    const { stored = 0, duplicates = 0, failed = 0, failures: named = [] } = fields as Partial<Summary>;
    const failures = named.map(({ index = 0, code, detail = "" }) => ({
      ...{ index, code, detail },
      isUnknown: isUnknownCode(code),
    }));
    return { stored, duplicates, failures, unnamed: failed - failures.length };
  };

  return {
    async send(events) {
      try {
        const [event] = events;
        return batch === 1 && event !== undefined ? await sendOne(event) : await sendMany(events);
      } catch (error) {
        return failedTogether(events, failureOf(error));
      }
    },
    close() {
      client.close();
      return Promise.resolve();
    },
  };
};

/** `SendEventsResponse`. */
interface Summary {
  readonly stored: number;
  readonly duplicates: number;
  readonly failed: number;
  readonly failures: readonly { readonly index?: number; readonly code: string; readonly detail?: string }[];
}

const failureOf = (error: unknown): Omit<SendFailure, "index"> => {
  const detail = error instanceof Error ? error.message : String(error);
  const metadata = error instanceof Error && "metadata" in error ? error.metadata : undefined;
  const [code] = metadata instanceof Metadata ? metadata.get("mts-code") : [];
  // Without a code of the server it is the connection, or the deadline.
  if (typeof code !== "string") return { code: "connection_failed", detail, isUnknown: true };
  return { code, detail, isUnknown: isUnknownCode(code) };
};
