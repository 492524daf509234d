/**
 * Publishes that are on their way: sent without waiting for the answers before, in order, with a bound.
 * @module
 */
import { type Mts, MtsError } from "../../client/index.ts";
import { CliFailure } from "../command.ts";
import type { MessageHeaders } from "./headers.ts";
import type { Published, Timing } from "./timing.ts";

/** Published and not answered. */
const messagesMax = 4096;
const bytesMax = 16 * 1024 * 1024;

/** A message to publish. */
export interface Draft {
  /** What an error says it was: a file, a line. */
  readonly label: string;
  /** The file it was. */
  readonly path: string | undefined;
  /** How much of the source it is. */
  readonly sourceBytes: number;
  readonly subject: string;
  readonly body: Uint8Array;
  readonly headers: MessageHeaders;
  readonly messageId: string | undefined;
  readonly expectedLast: number | undefined;
  readonly timing: Timing;
}

/** What went wrong with one message, with its label. */
export const labelled = (label: string, thrown: unknown): unknown =>
  thrown instanceof MtsError ? new CliFailure(`${label}: ${thrown.message} (${thrown.code})`) : thrown;

/** Publishes in order. After a failure nothing more is sent; what was sent before is still waited for. */
export class Pipeline {
  readonly #mts: Mts;
  readonly #onReceipt: (receipt: Published, draft: Draft) => Promise<void>;
  #messages = 0;
  #bytes = 0;
  #failure: { readonly thrown: unknown } | undefined;
  #settled: Promise<void> = Promise.resolve();
  #room: PromiseWithResolvers<void> | undefined;

  constructor(mts: Mts, onReceipt: (receipt: Published, draft: Draft) => Promise<void>) {
    this.#mts = mts;
    this.#onReceipt = onReceipt;
  }

  /** Sends it; resolves when there is room for another. @throws the first failure */
  async add(draft: Draft): Promise<void> {
    this.#throwFailure();
    this.#messages++;
    this.#bytes += draft.body.length;
    const receipt = this.#publish(draft);
    // Heard when its turn comes.
    receipt.catch(() => undefined);
    this.#settled = this.#settle(this.#settled, receipt, draft);
    while (this.#messages >= messagesMax || this.#bytes >= bytesMax) {
      this.#room ??= Promise.withResolvers();
      await this.#room.promise;
    }
  }

  /** Resolves when everything was answered. @throws the first failure */
  async drain(): Promise<void> {
    await this.#settled;
    this.#throwFailure();
  }

  async #publish({ subject, body, headers, messageId, expectedLast, timing }: Draft): Promise<Published> {
    const { ttlMs, delayMs, deliverAt } = timing;
    return this.#mts.publish(subject, body, { headers, messageId, expectedLast, ttlMs, delayMs, deliverAt });
  }

  async #settle(before: Promise<void>, receipt: Promise<Published>, draft: Draft): Promise<void> {
    await before;
    try {
      await this.#onReceipt(await receipt, draft);
    } catch (thrown) {
      this.#failure ??= { thrown: labelled(draft.label, thrown) };
    }
    this.#messages--;
    this.#bytes -= draft.body.length;
    this.#room?.resolve();
    this.#room = undefined;
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.thrown;
  }
}
