/**
 * The dead letters of an actor: messages that it keeps failing on, with the headers of all dead letters.
 * @module
 */
import type { Delivery } from "../../src/broker/contract.ts";
import { deadLetterHeaders } from "../../src/core/message.ts";
import type { ActorDefinition } from "../define.ts";
import type { Effect } from "./publish.ts";

/**
 * The dead letter of a message.
 * @param attempts how often it was tried
 * @param error what the last attempt said
 */
export const deadLetterOf = (
  { name, deadLetter }: Pick<ActorDefinition, "name" | "deadLetter">,
  { subject, sequence, timestampMs, headers, body }: Delivery,
  attempts: number,
  error: string,
): Effect => ({
  subject: deadLetter,
  headers: {
    ...headers,
    [deadLetterHeaders.reason]: "max_deliver",
    [deadLetterHeaders.consumer]: name,
    [deadLetterHeaders.subject]: subject,
    [deadLetterHeaders.sequence]: String(sequence),
    [deadLetterHeaders.timestamp]: String(timestampMs),
    [deadLetterHeaders.deliveries]: String(attempts),
    [deadLetterHeaders.error]: error,
  },
  body,
  messageId: undefined,
});
