/**
 * What becomes of commits whose outcome the store did not tell. The publishers were answered `outcome_unknown` and
 * settle it by a retry; followers must hear of whatever was stored, and of nothing else. Until that is known the
 * subjects are held: later messages are told after the doubtful ones, so that no follower starts behind them.
 * @module
 */
import type { DoubtfulCommit } from "../../actors/committer.ts";
import type { BodyRef, Envelope, Sequence } from "../core/message.ts";
import type { Subject } from "../core/subject.ts";
import { type RecoveryTools, untilAnswered } from "./recovery.ts";

/** Envelopes in one look. */
const lookCountMax = 1000;
/** How far the store's clock may be behind ours, in milliseconds. */
const clockSlackMs = 60_000;

/** Settles doubts one after the other, so that an earlier one is told before a later one. */
export class Doubts {
  #settled: Promise<void> = Promise.resolve();

  constructor(private readonly tools: RecoveryTools) {}

  add(doubt: DoubtfulCommit): void {
    for (const subject of doubt.bodies.keys()) this.tools.hub.hold(subject);
    this.#settled = this.#settled.then(() => this.#settle(doubt));
  }

  /** Never rejects: it asks until the store answers, or the server stops. */
  async #settle(doubt: DoubtfulCommit): Promise<void> {
    for (const [subject, bodies] of doubt.bodies) {
      const found = await untilAnswered(this.tools, () => this.#find(subject, bodies, doubt.startedAtMs));
      this.tools.hub.release(subject, found);
    }
  }

  /** The doubtful messages that are stored. A body's place is never used twice, so it tells them from all others. */
  async #find(
    subject: Subject,
    bodies: readonly BodyRef[],
    startedAtMs: number,
  ): Promise<{ readonly first: Sequence; readonly last: Sequence } | undefined> {
    const places = new Set(bodies.map(placeOf));
    const isDoubtful = ({ body, timestampMs }: Envelope): boolean =>
      // Empty bodies have no place of their own; their time has to do.
      places.has(placeOf(body)) && (body.length > 0 || timestampMs >= startedAtMs);
    let from = await this.tools.metadata.sequenceAt(subject, startedAtMs - clockSlackMs);
    let first: Sequence | undefined;
    let last: Sequence = 0;
    for (;;) {
      const bounds = { limit: lookCountMax, bodyBytesMax: Number.MAX_SAFE_INTEGER };
      const { envelopes } = await this.tools.metadata.range(subject, from, bounds);
      for (const envelope of envelopes) {
        if (!isDoubtful(envelope)) continue;
        first ??= envelope.sequence;
        last = envelope.sequence;
      }
      const end = envelopes.at(-1);
      if (end === undefined) return first === undefined ? undefined : { first, last };
      from = end.sequence + 1;
    }
  }
}

const placeOf = ({ object, offset }: BodyRef): string => `${object}:${offset}`;
