/**
 * A client that behaves well while others do not: it publishes, hears its own messages and reads them back, and every
 * one must come in time, in order, with its bytes.
 * @module
 */
import { HttpClient } from "../../http-client.ts";
import type { TestServer } from "../../server.ts";
import { WsClient } from "../../ws-client.ts";
import type { Figures } from "./figures.ts";
import { within } from "./patience.ts";

/** Between two rounds, in milliseconds: it is a witness, not a load. */
const pauseMs = 20;
/** Messages of one subject before it takes a new one: it keeps what it hears. */
const roundsPerSubject = 500;

/** Goes round until `over` says so, or something is violated. */
export const runCanary = async (server: TestServer, figures: Figures, over: () => boolean): Promise<void> => {
  try {
    while (!over() && figures.failure === undefined) await live(server, figures, over);
  } catch (error) {
    figures.fail(`canary: ${error instanceof Error ? error.message : String(error)}`);
  }
};

const live = async (server: TestServer, figures: Figures, over: () => boolean): Promise<void> => {
  const client = await within("the canary's welcome", WsClient.connect(server.wsUrl, "mts.json.v1"));
  const http = new HttpClient(server.url);
  const subject = `canary.${crypto.randomUUID()}`;
  const subscription = await within("the canary's subscription", client.subscribe(subject, { credit: -1 }));
  for (let sequence = 1; sequence <= roundsPerSubject && !over(); sequence++) {
    const startedMs = performance.now();
    const body = Buffer.from(`${subject} ${sequence}`);
    const receipt = await within("the canary's publish", client.publish({ subject, body }));
    if (receipt.sequence !== sequence) throw new Error(`message ${sequence} became ${receipt.sequence}`);
    const heard = await within("the canary's push", subscription.count(sequence));
    const last = heard[sequence - 1];
    if (heard.length !== sequence || last?.sequence !== sequence)
      throw new Error(`heard ${heard.length} of ${sequence}`);
    if (!body.equals(last.body)) throw new Error(`another body was pushed as ${sequence}`);
    const read = await within("the canary's read", http.message(subject, sequence));
    if (!body.equals(read)) throw new Error(`another body was read as ${sequence}`);
    figures.canaryRounds++;
    figures.canaryMsMax = Math.max(figures.canaryMsMax, performance.now() - startedMs);
    await Bun.sleep(pauseMs);
  }
  await within("the canary's close", client.close());
};
