/**
 * Which subjects moved, as an async iterator. What is not taken yet is kept once for each subject, at its latest. After
 * a reconnect the server tells the latest of every subject, and those that did not move since are left out here.
 * @module
 */
import type { Notification, NotifyOptions } from "./options.ts";
import type { Session } from "./session.ts";
import { Stream, type StreamTools } from "./stream.ts";
import { type Fields, nothing } from "./wire.ts";

interface Pending {
  readonly subject: string;
  sequence: number;
}

/** Notifications. */
export class Notifications extends Stream<Notification> {
  /** In the inbox. */
  readonly #pending: Map<string, Pending>;

  constructor(tools: StreamTools, filter: string, options: NotifyOptions) {
    const pending = new Map<string, Pending>();
    super(tools, filter, options, ({ subject }) => pending.delete(subject));
    this.#pending = pending;
  }

  protected override async attach(session: Session): Promise<void> {
    // Before it subscribes: what moves after the listing must be told.
    if (!this.placed && this.start.isMoment) await this.placeListed(this.stop);
    const from = this.placed ? "first" : this.from();
    await this.hold(session, { mode: "notify", from }, nothing);
  }

  protected override push(frame: Fields): void {
    const { subject, sequence } = frame as unknown as Notification;
    if (!this.positions.admit(subject, sequence)) return;
    const pending = this.#pending.get(subject);
    if (pending) pending.sequence = sequence;
    else {
      const fresh = { subject, sequence };
      this.#pending.set(subject, fresh);
      this.inbox.push(fresh);
    }
  }
}
