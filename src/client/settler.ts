/**
 * Acknowledgements: those of a tick, and those that come while one is under way, travel in one frame. They survive
 * reconnects, because a late one counts, but not a change of the epoch: there they would mean other messages.
 * @module
 */
import type { AckMode, HttpSide } from "./http.ts";
import type { CallBounds, Link } from "./link.ts";
import type { Settling } from "./message.ts";
import { type Deferred, deferred, type Frame, ignoreRejection, integerField } from "./wire.ts";

/** Sequences in one frame. */
const sequencesMax = 10_000;
/** Consumers whose mode is remembered. */
const modesMax = 1000;

/** What settles messages of one consumer. */
export interface Acknowledged {
  readonly ackedThrough: number;
  /** False when it was acknowledged before. */
  readonly moved: boolean;
}

/** All acknowledgements of one client. */
export class Settler {
  readonly #modes = new Map<string, Promise<AckMode>>();
  readonly #busy = new Set<Promise<void>>();

  constructor(
    readonly link: Link,
    private readonly http: HttpSide,
    readonly timeoutMs: number,
  ) {}

  /** For messages of one consumer that belong to one epoch. */
  line(subject: string, consumer: string, epoch: string): Settling {
    return new SettleLine(this, subject, consumer, epoch);
  }

  /** How the consumer acknowledges. @param fresh ask again: it may be another one under the same name */
  mode(subject: string, consumer: string, fresh = false): Promise<AckMode> {
    const key = `${subject}\n${consumer}`;
    let mode = fresh ? undefined : this.#modes.get(key);
    if (mode === undefined) {
      mode = this.http.consumer(subject, consumer).then(({ ack }) => ack);
      if (this.#modes.size >= modesMax) this.#modes.clear();
      this.#modes.set(key, mode);
      mode.catch(() => this.#modes.delete(key));
    }
    return mode;
  }

  async ack(
    subject: string,
    consumer: string,
    settled: { readonly sequence: number } | { readonly sequences: readonly number[] },
    bounds: CallBounds,
  ): Promise<Acknowledged> {
    const frame = await this.link.call({ op: "ack", subject, consumer, ...settled }, bounds);
    return { ackedThrough: integerField(frame, "acked_through"), moved: frame["moved"] === true };
  }

  async nack(
    subject: string,
    consumer: string,
    sequences: readonly number[],
    delayMs: number,
    bounds: CallBounds,
  ): Promise<number> {
    const fields: Frame = { op: "nack", subject, consumer, sequences, delay_ms: delayMs };
    return integerField(await this.link.call(fields, bounds), "redeliver");
  }

  /** Keeps `idle` waiting. */
  track(work: Promise<void>): void {
    this.#busy.add(work);
    void work.finally(() => this.#busy.delete(work));
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#busy.size > 0) await Promise.all(this.#busy);
  }
}

/** Sequences that are settled in the same way, and one promise for all of them. */
interface Round {
  /** Undefined: acknowledged. */
  readonly nackDelayMs: number | undefined;
  readonly sequences: number[];
  readonly done: Deferred<undefined>;
}

class SettleLine implements Settling {
  /** Bounded by the messages that were handed out and not settled. */
  #rounds = new Map<number | undefined, Round>();
  #running = false;

  constructor(
    private readonly settler: Settler,
    private readonly subject: string,
    private readonly consumer: string,
    private readonly epoch: string,
  ) {}

  ack(sequence: number): Promise<void> {
    return this.#add(sequence, undefined);
  }

  nack(sequence: number, delayMs: number): Promise<void> {
    return this.#add(sequence, delayMs);
  }

  #add(sequence: number, nackDelayMs: number | undefined): Promise<void> {
    let round = this.#rounds.get(nackDelayMs);
    if (round === undefined) {
      round = { nackDelayMs, sequences: [], done: deferred<undefined>() };
      ignoreRejection(round.done.promise);
      this.#rounds.set(nackDelayMs, round);
    }
    round.sequences.push(sequence);
    if (round.sequences.length >= sequencesMax) {
      // Full: whoever comes next begins another one. Its key is not needed any more.
      this.#rounds.delete(nackDelayMs);
      this.settler.track(this.#settle(round));
    } else if (!this.#running) {
      this.#running = true;
      this.settler.track(this.#run());
    }
    return round.done.promise;
  }

  async #run(): Promise<void> {
    // What is settled in the same tick goes along.
    await Promise.resolve();
    while (this.#rounds.size > 0) {
      const rounds = [...this.#rounds.values()];
      this.#rounds = new Map();
      await Promise.all(rounds.map((round) => this.#settle(round)));
    }
    this.#running = false;
  }

  /** Never rejects; the round's promise does. */
  async #settle({ nackDelayMs, sequences, done }: Round): Promise<void> {
    const { settler, subject, consumer } = this;
    const bounds = { timeoutMs: settler.timeoutMs, epoch: this.epoch };
    try {
      if (nackDelayMs !== undefined) await settler.nack(subject, consumer, sequences, nackDelayMs, bounds);
      else if ((await settler.mode(subject, consumer)) === "explicit") {
        await settler.ack(subject, consumer, { sequences }, bounds);
      } else {
        await settler.ack(subject, consumer, { sequence: sequences.reduce((a, b) => Math.max(a, b), 0) }, bounds);
      }
      done.resolve(undefined);
    } catch (error) {
      done.reject(error);
    }
  }
}
