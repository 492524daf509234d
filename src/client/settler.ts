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
    let rounds = new Map<string, Round>();
    let running = false;
    const send = async (sequences: readonly number[], { delayMs, error }: Round): Promise<void> => {
      const frame = { op: delayMs === undefined ? "ack" : "nack", subject, consumer, delayMs, error };
      const through = delayMs === undefined && (await this.mode(subject, consumer)) === "all";
      // Nothing looks at the order: the highest is last.
      const settled = through ? { sequence: sequences.reduce((a, b) => Math.max(a, b)) } : { sequences };
      await this.#link.call({ ...frame, ...settled }, { epoch });
    };
    const settle = async (round: Round): Promise<void> => {
      const { sequences, done } = round;
      // In one frame.
      const sequencesMax = 10_000;
      try {
        while (sequences.length > 0) await send(sequences.splice(0, sequencesMax), round);
        done.resolve(undefined);
      } catch (error) {
        done.reject(error);
      }
    };
    const run = async (): Promise<void> => {
      // What is settled in the same tick goes along.
      await Promise.resolve();
      while (rounds.size > 0) {
        const now = [...rounds.values()];
        rounds = new Map();
        await Promise.all(now.map(settle));
      }
      running = false;
      this.#outstanding.end();
    };
    return (sequence, delayMs, error) => {
      const key = `${delayMs} ${error}`;
      const round = rounds.get(key) ?? { delayMs, error, sequences: [], done: deferred<undefined>() };
      rounds.set(key, round);
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
    // Consumers whose mode is remembered.
    const modesMax = 1000;
    if (this.#modes.size >= modesMax) this.#modes.clear();
    this.#modes.set(key, mode);
    mode.catch(() => this.#modes.delete(key));
    return mode;
  }
}

/** Sequences that are settled in the same way, and one promise for all of them. */
interface Round {
  readonly delayMs: number | undefined;
  readonly error: string | undefined;
  readonly sequences: number[];
  readonly done: Deferred<undefined>;
}
