/**
 * Acknowledgements: those of a tick, and those that come while one is under way, travel in one frame. They survive
 * reconnects, because a late one counts, but not a change of the epoch: there they would mean other messages.
 * @module
 */
import type { AckMode } from "./http.ts";
import type { Link } from "./link.ts";
import type { Settling } from "./message.ts";
import type { Outstanding } from "./outstanding.ts";
import { type Deferred, deferred } from "./wire.ts";

/** Sequences in one frame. */
const sequencesMax = 10_000;
/** Consumers whose mode is remembered. */
const modesMax = 1000;

/** Through which sequence everything is acknowledged now. */
export interface Acknowledged {
  readonly ackedThrough: number;
  /** False when it was acknowledged before. */
  readonly moved: boolean;
}

/** All acknowledgements of messages of one client. */
export class Settler {
  readonly #modes = new Map<string, Promise<AckMode>>();
  readonly #link: Link;
  readonly #outstanding: Outstanding;

  constructor(link: Link, outstanding: Outstanding) {
    this.#link = link;
    this.#outstanding = outstanding;
  }

  /** For messages of one consumer that belong to one epoch. */
  line(subject: string, consumer: string, epoch: string): Settling {
    /** By how they are settled; bounded by the messages that were handed out. */
    let rounds = new Map<number | undefined, Round>();
    let running = false;
    const send = async (sequences: readonly number[], delayMs: number | undefined): Promise<void> => {
      const frame = { op: delayMs === undefined ? "ack" : "nack", subject, consumer, delayMs };
      const through = delayMs === undefined && (await this.mode(subject, consumer)) === "all";
      // Nothing looks at the order: the highest is last.
      const settled = through ? { sequence: sequences.reduce((a, b) => Math.max(a, b)) } : { sequences };
      await this.#link.call({ ...frame, ...settled }, { epoch });
    };
    const settle = async (delayMs: number | undefined, { sequences, done }: Round): Promise<void> => {
      try {
        while (sequences.length > 0) await send(sequences.splice(0, sequencesMax), delayMs);
        done.resolve(undefined);
      } catch (error) {
        done.reject(error);
      }
    };
    const run = async (): Promise<void> => {
      // What is settled in the same tick goes along.
      await Promise.resolve();
      while (rounds.size > 0) {
        const now = [...rounds];
        rounds = new Map();
        await Promise.all(now.map(([delayMs, round]) => settle(delayMs, round)));
      }
      running = false;
      this.#outstanding.end();
    };
    return (sequence, delayMs) => {
      const round = rounds.get(delayMs) ?? { sequences: [], done: deferred<undefined>() };
      rounds.set(delayMs, round);
      round.sequences.push(sequence);
      if (!running) {
        running = true;
        this.#outstanding.begin();
        void run();
      }
      return round.done.promise;
    };
  }

  /** How the consumer acknowledges. @param fresh ask again: it may be another one under the same name */
  mode(subject: string, consumer: string, fresh = false): Promise<AckMode> {
    const key = `${subject} ${consumer}`;
    const known = this.#modes.get(key);
    if (known && !fresh) return known;
    const mode = this.#link.http.consumer("GET", subject, consumer).then(({ ack }) => ack);
    if (this.#modes.size >= modesMax) this.#modes.clear();
    this.#modes.set(key, mode);
    mode.catch(() => this.#modes.delete(key));
    return mode;
  }
}

/** Sequences that are settled in the same way, and one promise for all of them. */
interface Round {
  readonly sequences: number[];
  readonly done: Deferred<undefined>;
}
