/**
 * Events that were read a moment ago: who shows the last events asks for nearly the same ones again and again. What the
 * caller may see, and what is still there, is asked of the stream every time; only the bodies of messages that are known
 * are not read, verified and parsed once more. A message never changes under its epoch, subject and sequence.
 * @module
 */
import type { Broker, ReadRequest } from "../broker/contract.ts";
import { readEvent } from "../codec/event.ts";
import type { Head, Sequence } from "../core/message.ts";
import type { Subject } from "../core/subject.ts";
import type { StoredEvent } from "./contract.ts";

/** Messages that are remembered: some pages, in a few megabytes. */
const rememberedMax = 8192;

/** A message and the event that it is; undefined when it is none. */
export interface ReadMessage {
  readonly sequence: Sequence;
  readonly timestampMs: number;
  readonly stored: StoredEvent | undefined;
}

/** A page of messages as events. */
export interface EventsRead extends Head {
  readonly messages: readonly ReadMessage[];
  readonly damaged: readonly { readonly sequence: Sequence }[];
  readonly nextSequence: Sequence;
}

/** What is remembered of the messages of one store. */
export class RecentEvents {
  readonly #bySubject = new Map<Subject, Map<Sequence, ReadMessage>>();
  #epoch = "";
  #size = 0;

  /** As `Broker.read`, as events. @throws StreamError as `Broker.read` */
  async read(broker: Broker, request: ReadRequest): Promise<EventsRead> {
    const known = this.#known(broker.epoch, request.subject);
    const { from } = request;
    const isKnown = from.kind === "sequence" && known.has(from.sequence);
    const page = isKnown ? await broker.readEnvelopes(request) : undefined;
    const messages: ReadMessage[] = [];
    for (const { sequence } of page?.envelopes ?? []) {
      const message = known.get(sequence);
      if (message === undefined) break;
      messages.push(message);
    }
    if (page !== undefined && messages.length === page.envelopes.length) {
      const { firstSequence, lastSequence, nextSequence } = page;
      return { firstSequence, lastSequence, messages, damaged: [], nextSequence };
    }
    const last = messages.at(-1);
    const rest =
      last === undefined
        ? request
        : {
            ...request,
            from: { kind: "sequence", sequence: last.sequence + 1 } as const,
            limit: request.limit - messages.length,
          };
    const { firstSequence, lastSequence, damaged, nextSequence, messages: read } = await broker.read(rest);
    for (const delivery of read) {
      const event = readEvent(delivery);
      const { sequence, timestampMs, headers } = delivery;
      const message = { sequence, timestampMs, stored: event && { event, headers } };
      messages.push(message);
      this.#remember(known, message);
    }
    return { firstSequence, lastSequence, messages, damaged, nextSequence };
  }

  #known(epoch: string, subject: Subject): Map<Sequence, ReadMessage> {
    if (epoch !== this.#epoch) this.#forget();
    this.#epoch = epoch;
    const known = this.#bySubject.get(subject) ?? new Map<Sequence, ReadMessage>();
    this.#bySubject.set(subject, known);
    return known;
  }

  #remember(known: Map<Sequence, ReadMessage>, message: ReadMessage): void {
    if (this.#size >= rememberedMax) this.#forget();
    if (!known.has(message.sequence)) this.#size++;
    known.set(message.sequence, message);
  }

  #forget(): void {
    for (const known of this.#bySubject.values()) known.clear();
    this.#size = 0;
  }
}
