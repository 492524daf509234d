/**
 * A subscription under an `explicit` consumer: each push is a lease, shared with every fetch and subscription of that
 * name. It asks the store for leases whenever something may be there: a new message, a nack, a lease that ran out, an
 * acknowledgement that made room.
 * @module
 */
import { StreamError, toStreamError } from "../core/errors.ts";
import type { Sequence } from "../core/message.ts";
import type { ConsumerName, Subject } from "../core/subject.ts";
import type { MetadataStore, PulledPage } from "../metadata/contract.ts";
import { batchesOf } from "./batches.ts";
import type { DeliverAs, SubscribeRequest, Subscription, SubscriptionSink } from "./contract.ts";
import type { FollowerTools } from "./follower.ts";
import type { ConsumerWatcher, Watcher } from "./hub.ts";
import { boundsFor } from "./reader.ts";

/** Most messages leased at once: what is leased and not yet sent is lost to others until the lease runs out. */
const leaseCountMax = 256;

/** Pushes leases of one consumer to one subscription. */
export class LeaseFollower implements Subscription, Watcher, ConsumerWatcher {
  lastSequence?: Sequence | undefined;
  readonly #deliverAs: DeliverAs;
  #credit: number;
  #open = true;
  #holding = true;
  #pulling = false;
  /** Something happened while a pull was under way: pull again. */
  #again = false;
  #due: { cancel(): void } | undefined;
  #unwatch: readonly (() => void)[];

  constructor(
    private readonly subject: Subject,
    private readonly consumer: ConsumerName,
    request: SubscribeRequest,
    private readonly sink: SubscriptionSink,
    private readonly metadata: MetadataStore,
    private readonly tools: FollowerTools,
  ) {
    this.#credit = request.credit;
    this.#deliverAs = request.deliver ?? "body";
    this.#unwatch = [tools.hub.watch(request.filter, this), tools.hub.watchConsumer(subject, consumer, this)];
  }

  /** Starts delivering. */
  release(): void {
    this.#holding = false;
    this.#wake();
  }

  moved(): void {
    this.#wake();
  }

  changed(): void {
    this.#wake();
  }

  deleted(): void {
    this.#end(new StreamError("consumer_not_found", "The consumer was deleted.", { consumer: this.consumer }));
  }

  credit(messages: number): void {
    this.#credit += messages;
    this.#wake();
  }

  resume(): void {
    this.#wake();
  }

  close(): void {
    this.#open = false;
    this.#due?.cancel();
    for (const unwatch of this.#unwatch) unwatch();
  }

  #end(error: StreamError): void {
    if (!this.#open) return;
    this.close();
    this.sink.ended(error);
  }

  #wake(): void {
    if (this.#pulling) {
      this.#again = true;
      return;
    }
    void this.#pullAll();
  }

  async #pullAll(): Promise<void> {
    this.#pulling = true;
    try {
      do {
        while (this.#open && !this.#holding && this.#credit > 0 && this.sink.writable()) {
          if (!(await this.#pullOnce())) break;
        }
      } while (this.#takeAgain());
    } catch (error) {
      this.#failed(toStreamError(error));
    } finally {
      this.#pulling = false;
    }
  }

  #takeAgain(): boolean {
    const again = this.#again;
    this.#again = false;
    return again;
  }

  /** Whether something came, so that more may. */
  async #pullOnce(): Promise<boolean> {
    const deliver = this.#deliverAs;
    const page = await this.metadata.pull({
      subject: this.subject,
      consumer: this.consumer,
      ...boundsFor(deliver, {
        limit: Math.min(this.#credit, leaseCountMax),
        bodyBytesMax: deliver === "pointer" ? Number.MAX_SAFE_INTEGER : this.sink.batchBytesMax,
      }),
      autoAck: false,
      create: false,
    });
    this.#armDue(page);
    if (page.envelopes.length === 0) return false;
    const { messages, damaged } = await this.tools.reader.load(page.envelopes, deliver);
    if (!this.#open) return false;
    for (const message of damaged) this.sink.damaged(message);
    this.#credit -= messages.length;
    for (const batch of batchesOf(messages, this.sink.batchBytesMax)) {
      // A sink may end the subscription when it has enough; what is left is leased again when its time is over.
      if (!this.#isOpen()) return false;
      this.sink.messages(batch);
    }
    return true;
  }

  /** A look that the type checker does not take for settled: a sink may call back. */
  #isOpen(): boolean {
    return this.#open;
  }

  #armDue(page: PulledPage): void {
    this.#due?.cancel();
    this.#due = undefined;
    if (page.nextDueInMs === null || !this.#open) return;
    this.#due = this.tools.timers.after(page.nextDueInMs, () => this.#wake());
  }

  #failed(error: StreamError): void {
    if (error.retryable || error.code === "internal") this.tools.timers.after(this.tools.retryMs, () => this.#wake());
    else this.#end(error);
  }
}
