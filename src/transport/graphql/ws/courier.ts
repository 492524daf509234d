/**
 * Brings what groups have gathered to their members: at once while there is little, in larger pieces when writing to all
 * of them takes long, because a socket costs a system call however much goes through it.
 * @module
 */
import type { Group, Letter } from "./group.ts";

/** Sockets that are written to before others get a turn. */
const sliceMembers = 100;
/** Longest pause between two rounds, in milliseconds: what it adds to the way of an event. */
const pauseMsMax = 20;

/** How the courier waits. */
export interface CourierClock {
  nowMs(): number;
  /** Runs it after the events of this turn. */
  next(run: () => void): void;
  after(ms: number, run: () => void): void;
}

/** The clock of the process. */
export const processClock: CourierClock = {
  nowMs: () => performance.now(),
  next: (run) => void setImmediate(run),
  after: (ms, run) => void setTimeout(run, ms),
};

/** One for all groups. */
export class Courier {
  #waiting = new Set<Group>();
  #isUnderWay = false;
  #clock: CourierClock;

  constructor(clock: CourierClock = processClock) {
    this.#clock = clock;
  }

  /** The group has something to say. */
  soon(group: Group): void {
    this.#waiting.add(group);
    if (this.#isUnderWay) return;
    this.#isUnderWay = true;
    this.#clock.next(() => this.#round());
  }

  #round(): void {
    const groups = this.#waiting;
    this.#waiting = new Set();
    const startMs = this.#clock.nowMs();
    this.#deliver(lettersOf(groups), () => {
      const pauseMs = Math.min(this.#clock.nowMs() - startMs, pauseMsMax);
      // What takes less than a millisecond is not worth waiting for.
      if (pauseMs < 1) this.#rest();
      else this.#clock.after(pauseMs, () => this.#rest());
    });
  }

  #rest(): void {
    if (this.#waiting.size === 0) this.#isUnderWay = false;
    else this.#clock.next(() => this.#round());
  }

  /** Slice by slice, so that a publish does not wait for a thousand sockets. */
  #deliver(letters: Iterator<Letter, undefined>, done: () => void): void {
    for (let sent = 0; sent < sliceMembers; sent++) {
      const { value: letter } = letters.next();
      if (letter === undefined) {
        done();
        return;
      }
      letter.member.send(letter.tails);
    }
    this.#clock.next(() => this.#deliver(letters, done));
  }
}

function* lettersOf(groups: Iterable<Group>): Generator<Letter, undefined> {
  for (const group of groups) yield* group.letters();
  return undefined;
}
