/**
 * A running subscription of one caller: it ends with the caller's rights, and can be handed on to the rights of a newer
 * token.
 * @module
 */
import type { DamagedMessage, Delivery, SubscribeRequest, Subscription, SubscriptionSink } from "../broker/contract.ts";
import type { StreamError } from "../core/errors.ts";
import { type Subject, type SubjectFilter, serverSubjectPrefix } from "../core/subject.ts";
import { tokenExpired } from "./grant.ts";
import type { Lifetime } from "./lifetime.ts";

/** Stands between the broker and the transport's sink. */
export class HeldSubscription implements Subscription, SubscriptionSink {
  readonly filter: SubjectFilter;
  readonly batchBytesMax: number;
  readonly #sink: SubscriptionSink;
  #lifetime: Lifetime;
  #inner: Subscription | undefined;
  #isOver = false;
  /** Whether the server's own subjects are taken out of what comes. */
  #hidesServer: boolean;
  readonly #expire = (): void => this.end(tokenExpired());

  constructor({ filter }: SubscribeRequest, sink: SubscriptionSink, lifetime: Lifetime, hidesServer: boolean) {
    this.filter = filter;
    this.batchBytesMax = sink.batchBytesMax;
    this.#sink = sink;
    this.#lifetime = lifetime;
    this.#hidesServer = hidesServer;
    lifetime.onEnd(this.#expire);
  }

  /** The broker has started it. It may be over already. */
  started(inner: Subscription): void {
    this.#inner = inner;
    if (this.#isOver) inner.close();
  }

  /** It could not be started. */
  failed(): void {
    this.#isOver = true;
    this.#lifetime.forget(this.#expire);
  }

  /** From now on it ends with other rights. */
  moveTo(lifetime: Lifetime, hidesServer: boolean): void {
    if (this.#isOver) return;
    this.#lifetime.forget(this.#expire);
    this.#lifetime = lifetime;
    this.#hidesServer = hidesServer;
    lifetime.onEnd(this.#expire);
  }

  /** Ends it, with the reason to the sink; once. */
  end(error: StreamError): void {
    if (this.#isOver) return;
    this.close();
    this.#sink.ended(error);
  }

  // What the transport calls.

  get lastSequence(): Subscription["lastSequence"] {
    return this.#inner?.lastSequence;
  }

  credit(messages: number): void {
    this.#inner?.credit(messages);
  }

  resume(): void {
    this.#inner?.resume();
  }

  close(): void {
    this.#isOver = true;
    this.#lifetime.forget(this.#expire);
    this.#inner?.close();
  }

  // What the broker calls.

  writable(): boolean {
    return this.#sink.writable();
  }

  messages(batch: readonly Delivery[]): void {
    if (this.#isOver) return;
    if (!this.#hidesServer) {
      this.#sink.messages(batch);
      return;
    }
    const shown = batch.filter(({ subject }) => !isServerSubject(subject));
    // What is not shown must not use up what the caller is ready to take.
    if (shown.length < batch.length) this.#inner?.credit(batch.length - shown.length);
    if (shown.length > 0) this.#sink.messages(shown);
  }

  damaged(message: DamagedMessage): void {
    if (!this.#isOver && !(this.#hidesServer && isServerSubject(message.subject))) this.#sink.damaged(message);
  }

  notify(subject: Subject, sequence: number): void {
    if (!this.#isOver && !(this.#hidesServer && isServerSubject(subject))) this.#sink.notify(subject, sequence);
  }

  ended(error: StreamError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#lifetime.forget(this.#expire);
    this.#sink.ended(error);
  }
}

const isServerSubject = (subject: Subject): boolean => subject.startsWith(serverSubjectPrefix);
