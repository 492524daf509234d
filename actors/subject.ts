/**
 * The subject actor: one a subject and node. It takes the publishes of its subject in the order they came, waits for
 * large bodies that are still on their way to storage, and hands whole batches to the committer. It keeps no sequence:
 * the metadata transaction gives it.
 * @module
 */
import { type StreamError, toStreamError } from "../src/core/errors.ts";
import type { Draft, PublishOutcome } from "../src/core/message.ts";
import type { Subject } from "../src/core/subject.ts";
import type { Behaviour } from "./actor.ts";
import type { Committer } from "./committer.ts";
import type { Ticket } from "./ticket.ts";

/** One publish of one or more drafts of this subject. */
export interface PublishMessage {
  readonly drafts: readonly Draft[];
  /** Bytes of the inline bodies. */
  readonly bytes: number;
  /**
   * Set when a draft has a large body that is being stored: resolves to the drafts with refs in place of those bodies.
   * It was started when the publish came in, so that several large bodies are stored at once.
   */
  readonly storing?: Promise<readonly Draft[]> | undefined;
  readonly ticket: Ticket;
  readonly settle: (outcomes: readonly PublishOutcome[]) => void;
}

/** Behaviour of the actor of `subject`. */
export const subjectBehaviour = (subject: Subject, committer: Committer): Behaviour<PublishMessage> => {
  const refuse = (message: PublishMessage, error: StreamError): void => message.settle(message.drafts.map(() => error));

  const submit = (message: PublishMessage, drafts: readonly Draft[]): void =>
    committer.submit({ subject, drafts, bytes: message.bytes, ticket: message.ticket, settle: message.settle });

  const submitWhenStored = async (message: PublishMessage, storing: Promise<readonly Draft[]>): Promise<void> => {
    let drafts: readonly Draft[];
    try {
      drafts = await storing;
    } catch (error) {
      refuse(message, toStreamError(error));
      return;
    }
    submit(message, drafts);
  };

  /** From the first message that has to wait on: one after the other, so that the order holds. */
  const receiveSlowly = async (batch: readonly PublishMessage[]): Promise<void> => {
    for (const message of batch) {
      if (message.storing !== undefined) await submitWhenStored(message, message.storing);
      else {
        if (!committer.hasRoom) await committer.room();
        submit(message, message.drafts);
      }
    }
  };

  return {
    receive(batch) {
      for (const [index, message] of batch.entries()) {
        if (message.storing !== undefined || !committer.hasRoom) return receiveSlowly(batch.slice(index));
        submit(message, message.drafts);
      }
      return undefined;
    },
    refuse,
  };
};
