/**
 * What comes by itself, on any transport, and waiting for it: tests wait for a fact and not for a time.
 * @module
 */
import type { Received } from "./client.ts";

/** Re-evaluates conditions whenever something arrives. */
export class Conditions {
  readonly #waiting = new Set<{ holds: () => boolean; resolve: () => void; reject: (error: Error) => void }>();
  #failure: Error | undefined;

  until(holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve();
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => this.#waiting.add({ holds, resolve, reject }));
  }

  changed(): void {
    for (const waiting of this.#waiting) {
      if (!waiting.holds()) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
  }

  fail(error: Error): void {
    this.#failure = error;
    for (const waiting of this.#waiting) waiting.reject(error);
    this.#waiting.clear();
  }
}

/** A running tail or subscription: everything that came, in the order it came. */
export class Live {
  readonly messages: Received[] = [];
  readonly conditions = new Conditions();

  /** Takes what came. */
  add(messages: readonly Received[]): void {
    for (const message of messages) this.messages.push(message);
    this.conditions.changed();
  }

  /** Resolves when so many messages have come. */
  async count(messages: number): Promise<readonly Received[]> {
    await this.conditions.until(() => this.messages.length >= messages);
    return this.messages;
  }

  /** Sequences that have come. */
  sequences(): number[] {
    return this.messages.map((message) => message.sequence);
  }
}
