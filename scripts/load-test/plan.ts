/**
 * What a run is: plain data that every process of a load test gets.
 * @module
 */
import { randomUint32s } from "./random.ts";

/** How publishers send. */
export type PublishProtocol = "ws" | "http";

/** One run. */
export interface Plan {
  /** The server, without a path. */
  readonly url: string;
  /** Marks the bodies of this run; 32 bits. */
  readonly run: number;
  readonly seed: number;
  readonly subjects: readonly string[];
  readonly publishers: number;
  readonly protocol: PublishProtocol;
  /** Messages in one frame or request. */
  readonly batch: number;
  /** Messages under way per publisher (`ws`), connections per publisher (`http`). */
  readonly window: number;
  readonly bodyBytesMin: number;
  readonly bodyBytesMax: number;
  /** Messages a second over all publishers; undefined: as fast as the window allows. */
  readonly ratePerSecond: number | undefined;
}

/**
 * A lane is a row of publishes that the server must keep in order: a WebSocket connection, or an HTTP connection
 * (which sends the next request when the one before was answered).
 */
export const lanesOf = (plan: Plan): number => plan.publishers * (plan.protocol === "http" ? plan.window : 1);

/** The smallest message number of a lane that goes to a subject. The others follow in steps of `subjects`. */
export const firstNumber = (lane: number, subject: number, subjects: number): number =>
  (subject - (lane % subjects) + subjects) % subjects;

/** Mixes a message and the sequence it was given into a number; sums of them are compared. */
export const receiptMix = (number: number, sequence: number): number =>
  Math.imul(number ^ Math.imul(sequence, 0x9e3779b1), 0x85ebca6b) | 0;

/** A run number that other runs do not have. */
export const newRun = (): number => randomUint32s(Date.now() ^ Math.imul(process.pid, 0x9e3779b1))();
