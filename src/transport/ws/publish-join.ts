/**
 * Joins the publish frames that one connection sent in one turn into one call of the broker, which then answers them
 * together.
 * @module
 */
import { StreamError } from "../../core/errors.ts";
import { largeBodyBytesMin } from "../../core/limits.ts";
import type { Draft, PublishOutcome } from "../../core/message.ts";
import type { Connection } from "./connection.ts";
import type { FrameId } from "./protocol.ts";

/** Messages in one call: enough to share its cost, few enough to let other connections in between. */
const joinCountMax = 256;

/** About what a `published` frame takes. */
const publishedBytes = 128;

/** The publishes of one connection, in the order they came. */
export class PublishJoin {
  #drafts: Draft[] = [];
  #ids: FrameId[] = [];
  #bytes: number[] = [];
  #scheduled = false;

  constructor(private readonly connection: Connection) {}

  /** @param bytes size of its frame; the request was counted with `begin` */
  add(id: FrameId, draft: Draft, bytes: number): void {
    this.#drafts.push(draft);
    this.#ids.push(id);
    this.#bytes.push(bytes);
    // A large body takes longer; the answers of small ones must not wait for it.
    if (this.#drafts.length >= joinCountMax || bytes >= largeBodyBytesMin) this.flush();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      // After all the frames that the socket had for this turn.
      setImmediate(() => {
        this.#scheduled = false;
        this.flush();
      });
    }
  }

  /** Hands what came so far to the broker; to be called before anything else that publishes. */
  flush(): void {
    if (this.#drafts.length === 0) return;
    const drafts = this.#drafts;
    const ids = this.#ids;
    const bytes = this.#bytes;
    this.#drafts = [];
    this.#ids = [];
    this.#bytes = [];
    const { connection } = this;
    const settle = (answer: (id: FrameId, index: number) => void): void => {
      for (const [index, id] of ids.entries()) {
        connection.end(bytes[index] ?? 0);
        answer(id, index);
      }
    };
    connection.context.broker.publish(drafts).then(
      (outcomes) => settle((id, index) => this.answer(id, outcomes[index])),
      (error: unknown) => settle((id) => connection.fail(id, error)),
    );
  }

  private answer(id: FrameId, outcome: PublishOutcome | undefined): void {
    if (outcome === undefined || outcome instanceof StreamError) this.connection.fail(id, outcome);
    else this.connection.outbox.push({ kind: "published", id, receipt: outcome }, publishedBytes);
  }
}
