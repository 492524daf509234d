/**
 * The publishers of one process, and what a fleet of publishers is to the one who runs it.
 * @module
 */
import { BodyPool } from "./bodies.ts";
import { nowUs } from "./clock.ts";
import { HttpPublisher } from "./http-publisher.ts";
import { Lane, type LaneResult, type Publisher, PublishTally } from "./lane.ts";
import { Latency } from "./latency.ts";
import { lanesOf, type Plan } from "./plan.ts";
import { WsPublisher } from "./ws-publisher.ts";

/** A stretch of publishing: the warm-up, or what is measured. */
export interface Phase {
  /** When it begins, in microseconds. */
  readonly fromUs: number;
  readonly measured: boolean;
  /** How many messages over all lanes; undefined: until `stop`. */
  readonly count: number | undefined;
}

/** What a fleet has done so far. */
export interface FleetProgress {
  /** Measured acknowledgements. */
  readonly acked: number;
  readonly ackedBytes: number;
  readonly ackedEver: number;
  readonly failed: number;
  /** Lanes whose connection has gone. */
  readonly broken: number;
  /** Nothing waits for an answer and nothing more will be sent. */
  readonly idle: boolean;
}

/** What a fleet has done when it is over. Plain data, so that it may come from another process. */
export interface FleetResult {
  readonly progress: FleetProgress;
  readonly lastAckUs: number;
  /** `Latency.encode()`. */
  readonly latency: string;
  readonly errors: readonly (readonly [code: string, messages: number])[];
  readonly detail: string | undefined;
  /** Processor time since the measuring began, in microseconds, of other processes than the one that asks. */
  readonly cpuUs: number;
  readonly lanes: readonly LaneResult[];
}

/** Publishers that are connected. */
export interface Fleet {
  start(phase: Phase): void;
  /** Sends nothing more; what is under way may still be answered. */
  stop(): void;
  progress(): FleetProgress;
  /** Gives up on what was not answered, and closes. */
  finish(): Promise<FleetResult>;
}

/** Connections that are opened at once; a server's accept queue is not endless. */
const connectsAtOnce = 64;

/** Opens many connections, some at a time, in order. */
export const connectAll = async <T>(count: number, connect: (index: number) => Promise<T>): Promise<T[]> => {
  const connected: T[] = [];
  for (let from = 0; from < count; from += connectsAtOnce) {
    const length = Math.min(connectsAtOnce, count - from);
    connected.push(...(await Promise.all(Array.from({ length }, (_, i) => connect(from + i)))));
  }
  return connected;
};

/** A timer may be late by about this much. */
const timerSlackMs = 2;

/** Publishers in this process: the lanes `laneFrom` … `laneTo` - 1 of a plan. */
export class LocalFleet implements Fleet {
  readonly #tally = new PublishTally(new Latency());
  #publishers: readonly Publisher[] = [];
  #pacing = false;

  private constructor(private readonly plan: Plan) {}

  /** Connects. Rejects when the server does not answer. */
  static async connect(plan: Plan, laneFrom: number, laneTo: number): Promise<LocalFleet> {
    const fleet = new LocalFleet(plan);
    const pool = new BodyPool(plan.run, plan.seed, plan.bodyBytesMin, plan.bodyBytesMax);
    fleet.#publishers = await connectAll<Publisher>(laneTo - laneFrom, (index) => {
      const lane = new Lane(laneFrom + index, pool, fleet.#tally);
      lane.stopped = true;
      return plan.protocol === "ws" ? WsPublisher.connect(plan, lane, pool) : HttpPublisher.connect(plan, lane, pool);
    });
    return fleet;
  }

  start(phase: Phase): void {
    const lanes = lanesOf(this.plan);
    const { ratePerSecond } = this.plan;
    if (phase.measured) this.#tally.measureFromUs = phase.fromUs;
    for (const { lane } of this.#publishers) {
      lane.limit = phase.count === undefined ? Infinity : lane.next + shareOf(phase.count, lane.id, lanes);
      if (ratePerSecond !== undefined) {
        const stepUs = 1e6 / ratePerSecond;
        lane.pace(phase.fromUs + lane.id * stepUs, lanes * stepUs);
      }
      lane.stopped = false;
    }
    if (ratePerSecond === undefined) this.#pump();
    else {
      this.#pacing = true;
      this.#paced();
    }
  }

  stop(): void {
    this.#pacing = false;
    for (const { lane } of this.#publishers) lane.stopped = true;
  }

  progress(): FleetProgress {
    const { acked, ackedBytes, ackedEver, failed, broken } = this.#tally;
    const idle = this.#publishers.every(({ lane, underWay }) => lane.finished && underWay === 0);
    return { acked, ackedBytes, ackedEver, failed, broken, idle };
  }

  finish(): Promise<FleetResult> {
    this.stop();
    for (const publisher of this.#publishers) publisher.close();
    const { lastAckUs, latency, errors, detail } = this.#tally;
    return Promise.resolve({
      progress: this.progress(),
      lastAckUs,
      latency: latency.encode(),
      errors: [...errors],
      detail,
      cpuUs: 0,
      lanes: this.#publishers.map(({ lane }) => lane.result()),
    });
  }

  #pump(): void {
    for (const publisher of this.#publishers) publisher.pump();
  }

  /** Timers are too coarse for many messages a millisecond: the last stretch before a message turns with the loop. */
  readonly #paced = (): void => {
    if (!this.#pacing) return;
    this.#pump();
    let nextUs = Infinity;
    for (const { lane } of this.#publishers) nextUs = Math.min(nextUs, lane.nextDueUs(this.plan.batch));
    const idleMs = Math.floor((nextUs - nowUs()) / 1e3) - timerSlackMs;
    if (nextUs === Infinity) this.#pacing = false;
    else if (idleMs > 0) setTimeout(this.#paced, idleMs);
    else setImmediate(this.#paced);
  };
}

/** What one lane gets of a number of messages. */
export const shareOf = (count: number, lane: number, lanes: number): number =>
  Math.floor(count / lanes) + (lane < count % lanes ? 1 : 0);

/** The sum of what several fleets have done. */
export const sumProgress = (all: readonly FleetProgress[]): FleetProgress =>
  all.reduce((sum, one) => ({
    acked: sum.acked + one.acked,
    ackedBytes: sum.ackedBytes + one.ackedBytes,
    ackedEver: sum.ackedEver + one.ackedEver,
    failed: sum.failed + one.failed,
    broken: sum.broken + one.broken,
    idle: sum.idle && one.idle,
  }));
