/**
 * One run from its beginning to its end: connect, warm up, measure, drain, check.
 * @module
 */
import { BodyPool } from "./bodies.ts";
import { nowUs } from "./clock.ts";
import { CpuMeter, cpuUsOf, ownCpuUs } from "./cpu.ts";
import { addViolations, DeliveryCheck, type LaneEnds, laneEnds, noViolations } from "./delivery-check.ts";
import { connectAll, type Fleet, type FleetResult } from "./fleet.ts";
import { Latency } from "./latency.ts";
import type { Options } from "./options.ts";
import { type Outcome, throughput } from "./outcome.ts";
import { lanesOf, newRun, type Plan } from "./plan.ts";
import { connectFleet } from "./process-fleet.ts";
import { DeliveryTally, Subscriber } from "./subscriber.ts";
import { checkTarget, listSubjects, TargetError } from "./target.ts";

/** What is going on, for the progress line. */
export interface Progress {
  readonly stage: "connecting" | "warming up" | "measuring" | "draining" | "replaying";
  /** Counted from the beginning, the warm-up included. */
  readonly acked: number;
  readonly delivered: number;
  readonly errors: number;
}

/** How a run is ended early and watched. */
export interface RunOptions {
  /** Ends the publishing; what is under way is still waited for. */
  readonly signal: AbortSignal;
  /** Without any progress for so long, what is missing counts as missing; 10 s when not given. */
  readonly stuckMsMax?: number;
  /** To tell how much processor time the server takes. */
  readonly serverPid?: number | undefined;
  /** Called once, with what tells the progress at any time. */
  readonly onStart?: (progress: () => Progress) => void;
}

const stuckMsDefault = 10_000;
const pollMs = 20;
/** Past so many failed messages there is no point in going on. */
const failedMax = 1_000_000;

/** Runs a load test against a server that is there. @throws TargetError, Error when it cannot connect */
export const run = async (url: string, options: Options, runOptions: RunOptions): Promise<Outcome> => {
  await checkTarget(url);
  const test = new LoadTest(url, options, runOptions);
  runOptions.onStart?.(() => test.progress());
  try {
    if (options.filter !== undefined) return await test.readOthers(options.filter);
    return options.mode === "replay" ? await test.publishThenRead() : await test.publishAndRead();
  } finally {
    test.close();
  }
};

class LoadTest {
  readonly #plan: Plan;
  readonly #pool: BodyPool;
  /** Matches the subjects of the plan. */
  readonly #filter: string;
  readonly #deliveries = new DeliveryTally(new Latency());
  #subscribers: readonly Subscriber[] = [];
  #fleet: Fleet | undefined;
  #published: FleetResult | undefined;
  #stage: Progress["stage"] = "connecting";
  #publishFromUs = 0;
  #readFromUs = 0;
  #meters: { readonly own: CpuMeter; readonly server: CpuMeter } | undefined;

  constructor(
    private readonly url: string,
    private readonly options: Options,
    private readonly runOptions: RunOptions,
  ) {
    const run = newRun();
    const prefix = options.subjectPrefix ?? `load-test.${run.toString(36)}`;
    const subjects = Array.from({ length: options.subjects }, (_, i) => `${prefix}.${i}`);
    this.#filter = options.subjects === 1 ? `${prefix}.0` : `${prefix}.*`;
    this.#plan = { ...options, url, run, subjects };
    this.#pool = new BodyPool(run, options.seed, options.bodyBytesMin, options.bodyBytesMax);
  }

  async publishAndRead(): Promise<Outcome> {
    const last = new Map<string, number>();
    for (const listed of await listSubjects(this.url, this.#filter)) last.set(listed.subject, listed.last_sequence);
    await this.#subscribe(this.#filter, "new", this.#plan.subjects, (subject) => (last.get(subject) ?? 0) + 1);
    const ends = await this.#publish();
    await this.#delivered(ends);
    return this.#outcome(ends, 0);
  }

  async publishThenRead(): Promise<Outcome> {
    const [occupied] = await listSubjects(this.url, this.#filter);
    if (occupied !== undefined) {
      throw new TargetError(
        `${occupied.subject} is not empty; take another --subject-prefix, or read it with --filter`,
      );
    }
    const ends = await this.#publish();
    if (this.#interrupted()) return this.#outcome(new Map(), 0);
    await this.#read(this.#filter, this.#plan.subjects, this.#published?.progress.ackedEver ?? 0, 1);
    return this.#outcome(this.#interrupted() ? new Map() : ends, 0);
  }

  async readOthers(filter: string): Promise<Outcome> {
    const listed = await listSubjects(this.url, filter);
    const total = listed.reduce((sum, { messages }) => sum + messages, 0);
    if (total === 0) throw new TargetError(`no message matches ${filter}`);
    const subjects = listed.map(({ subject }) => subject);
    const missing = await this.#read(filter, subjects, total, 0);
    return this.#outcome(new Map(), this.#interrupted() ? 0 : missing);
  }

  progress(): Progress {
    const fleet = this.#fleet?.progress() ?? this.#published?.progress;
    return {
      stage: this.#stage,
      acked: fleet?.ackedEver ?? 0,
      delivered: this.#deliveries.deliveredEver,
      errors: (fleet?.failed ?? 0) + this.#deliveries.broken,
    };
  }

  close(): void {
    for (const subscriber of this.#subscribers) subscriber.close();
    // Only when something else has failed already.
    this.#fleet?.finish().catch(() => undefined);
  }

  #interrupted(): boolean {
    return this.runOptions.signal.aborted;
  }

  /** Warms up, measures, and waits for every answer. */
  async #publish(): Promise<LaneEnds> {
    const { warmupMs, count, durationMs, mode, processes } = this.options;
    const fleet = await connectFleet(this.#plan, processes);
    this.#fleet = fleet;
    if (warmupMs > 0) {
      this.#stage = "warming up";
      fleet.start({ fromUs: nowUs(), measured: false, count: undefined });
      await this.#phaseOver(fleet, undefined, warmupMs);
    }
    if (!this.#interrupted()) {
      this.#stage = "measuring";
      this.#measureCpu();
      // Whole, as the times in bodies are.
      const fromUs = Math.floor(nowUs());
      this.#publishFromUs = fromUs;
      if (mode === "publish") {
        this.#readFromUs = fromUs;
        this.#deliveries.measureFromUs = fromUs;
      }
      fleet.start({ fromUs, measured: true, count });
      await this.#phaseOver(fleet, count, durationMs);
    }
    this.#fleet = undefined;
    this.#published = await fleet.finish();
    return laneEnds(this.#published.lanes);
  }

  /** Waits for the end of a phase (all messages, or the time), then for what is under way. */
  async #phaseOver(fleet: Fleet, count: number | undefined, durationMs: number): Promise<void> {
    const endUs = nowUs() + durationMs * 1000;
    const lanes = lanesOf(this.#plan);
    await this.#until(() => {
      const { idle, broken, failed } = fleet.progress();
      if (this.#interrupted() || broken === lanes || failed > failedMax) return true;
      return count === undefined ? nowUs() >= endUs : idle;
    });
    fleet.stop();
    if (this.#stage === "measuring") this.#stage = "draining";
    await this.#until(
      () => fleet.progress().idle,
      () => fleet.progress().ackedEver + fleet.progress().failed,
    );
  }

  async #subscribe(
    filter: string,
    from: "first" | "new",
    subjects: readonly string[],
    nextSequence: (subject: string) => number,
  ): Promise<void> {
    const lanes = lanesOf(this.#plan);
    const next = subjects.map(nextSequence);
    this.#subscribers = await connectAll(this.options.subscribers, () => {
      const check = new DeliveryCheck(subjects, lanes, this.#pool, next);
      return Subscriber.connect(this.url, { filter, from }, check, this.#deliveries);
    });
  }

  /** Reads from the first message on until everything came; returns how many messages did not. */
  async #read(filter: string, subjects: readonly string[], total: number, firstSequence: number): Promise<number> {
    this.#stage = "replaying";
    const tally = this.#deliveries;
    tally.measureFromUs = -Infinity;
    this.#measureCpu();
    this.#readFromUs = nowUs();
    await this.#subscribe(filter, "first", subjects, () => firstSequence);
    const wanted = total * this.options.subscribers;
    await this.#until(
      () => tally.deliveredEver >= wanted || this.#interrupted() || this.#subscribers.every(({ ended }) => ended),
      () => tally.deliveredEver,
    );
    return Math.max(0, wanted - tally.deliveredEver);
  }

  /** Waits until every subscriber has all that was acknowledged. */
  async #delivered(ends: LaneEnds): Promise<void> {
    const waiting = new Set(this.#subscribers);
    await this.#until(
      () => {
        for (const subscriber of waiting) {
          if (!subscriber.ended && subscriber.check.outstanding(ends) > 0) return false;
          waiting.delete(subscriber);
        }
        return true;
      },
      () => this.#deliveries.deliveredEver,
    );
  }

  /** Waits until a condition holds; gives up when `moved()`, if it is given, stays the same for too long. */
  async #until(holds: () => boolean, moved: () => number = nowUs): Promise<void> {
    const stuckUsMax = (this.runOptions.stuckMsMax ?? stuckMsDefault) * 1000;
    let last = NaN;
    let lastMovedUs = nowUs();
    while (!holds()) {
      const current = moved();
      if (current !== last) {
        last = current;
        lastMovedUs = nowUs();
      } else if (nowUs() - lastMovedUs > stuckUsMax) return;
      await Bun.sleep(pollMs);
    }
  }

  #measureCpu(): void {
    const { serverPid } = this.runOptions;
    this.#meters = {
      own: new CpuMeter(ownCpuUs),
      server: new CpuMeter(() => (serverPid === undefined ? undefined : cpuUsOf(serverPid))),
    };
  }

  #outcome(ends: LaneEnds, missing: number): Outcome {
    const published = this.#published;
    const deliveries = this.#deliveries;
    const violations = noViolations();
    let verified = 0;
    let foreign = 0;
    for (const { check } of this.#subscribers) {
      addViolations(violations, check.finish(ends));
      verified += check.unique;
      foreign += check.foreign;
    }
    violations.lost += missing;
    const errors = new Map(published?.errors);
    for (const [code, count] of deliveries.errors) errors.set(code, (errors.get(code) ?? 0) + count);
    const firstError = published?.detail ?? deliveries.detail;
    const generatorUs =
      (this.#meters?.own.usedUs() ?? 0) + (this.options.mode === "replay" ? 0 : (published?.cpuUs ?? 0));
    const serverUs = this.#meters?.server.usedUs();
    return {
      cpu_us: { generator: Math.round(generatorUs), ...(serverUs !== undefined && { server: serverUs }) },
      ...(published && { publish: publishThroughput(published, this.#publishFromUs) }),
      ...(this.#subscribers.length > 0 && { delivery: deliveryThroughput(deliveries, this.#readFromUs) }),
      errors: Object.fromEntries(errors),
      ...(firstError !== undefined && { first_error: firstError }),
      verified,
      violations,
      foreign,
      broken_connections: (published?.progress.broken ?? 0) + deliveries.broken,
      interrupted: this.#interrupted(),
    };
  }
}

const publishThroughput = ({ progress, lastAckUs, latency }: FleetResult, fromUs: number) =>
  throughput(progress.acked, progress.ackedBytes, lastAckUs - fromUs, Latency.decode(latency));

const deliveryThroughput = ({ delivered, deliveredBytes, lastUs, latency }: DeliveryTally, fromUs: number) =>
  throughput(delivered, deliveredBytes, lastUs - fromUs, latency);
