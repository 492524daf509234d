/**
 * Publishers in several processes: one JavaScript client fills a core long before a server does.
 * @module
 */
import { join } from "node:path";
import { type Fleet, type FleetProgress, type FleetResult, LocalFleet, type Phase, sumProgress } from "./fleet.ts";
import { Latency } from "./latency.ts";
import { lanesOf, type Plan } from "./plan.ts";
import type { WorkerOrder, WorkerReport } from "./worker.ts";

/** One process. */
class Worker {
  readonly #connected = Promise.withResolvers<undefined>();
  readonly #finished = Promise.withResolvers<FleetResult>();
  readonly #process: Bun.Subprocess;
  #progress: FleetProgress = { acked: 0, ackedBytes: 0, ackedEver: 0, failed: 0, broken: 0, idle: true };
  #phases = 0;
  #begun = 0;

  constructor() {
    this.#process = Bun.spawn([process.execPath, join(import.meta.dir, "worker.ts")], {
      stdio: ["ignore", "inherit", "inherit"],
      ipc: (message) => this.#hear(message as WorkerReport),
    });
    // Whoever waits for it hears of it; nobody has to.
    this.#finished.promise.catch(() => undefined);
    this.#connected.promise.catch(() => undefined);
    void this.#process.exited.then(() => this.#fail("a publishing process ended before its time"));
  }

  async connect(plan: Plan, laneFrom: number, laneTo: number): Promise<void> {
    this.#tell({ kind: "connect", plan, laneFrom, laneTo });
    await this.#connected.promise;
  }

  start(phase: Phase): void {
    this.#phases++;
    this.#tell({ kind: "start", phase });
  }

  stop(): void {
    this.#tell({ kind: "stop" });
  }

  /** Idle only when it has heard of the last phase. */
  progress(): FleetProgress {
    return { ...this.#progress, idle: this.#progress.idle && this.#begun === this.#phases };
  }

  async finish(): Promise<FleetResult> {
    this.#tell({ kind: "finish" });
    try {
      return await this.#finished.promise;
    } finally {
      this.#process.disconnect();
    }
  }

  kill(): void {
    this.#process.kill();
  }

  #tell(order: WorkerOrder): void {
    this.#process.send(order);
  }

  #hear(message: WorkerReport): void {
    switch (message.kind) {
      case "connected":
        this.#connected.resolve(undefined);
        break;
      case "failed":
        this.#fail(message.detail);
        break;
      case "progress":
        this.#begun = message.started;
        this.#progress = message.progress;
        break;
      case "finished":
        this.#finished.resolve(message.result);
        break;
    }
  }

  #fail(detail: string): void {
    this.#connected.reject(new Error(detail));
    this.#finished.reject(new Error(detail));
  }
}

/** A fleet of processes. */
class ProcessFleet implements Fleet {
  constructor(private readonly workers: readonly Worker[]) {}

  start(phase: Phase): void {
    for (const worker of this.workers) worker.start(phase);
  }

  stop(): void {
    for (const worker of this.workers) worker.stop();
  }

  progress(): FleetProgress {
    return sumProgress(this.workers.map((worker) => worker.progress()));
  }

  async finish(): Promise<FleetResult> {
    return mergeResults(await Promise.all(this.workers.map((worker) => worker.finish())));
  }
}

/** Adds the results of several processes. */
export const mergeResults = (results: readonly FleetResult[]): FleetResult => {
  const latency = new Latency();
  const errors = new Map<string, number>();
  for (const result of results) {
    latency.add(Latency.decode(result.latency));
    for (const [code, messages] of result.errors) errors.set(code, (errors.get(code) ?? 0) + messages);
  }
  return {
    progress: sumProgress(results.map(({ progress }) => progress)),
    lastAckUs: Math.max(...results.map(({ lastAckUs }) => lastAckUs)),
    latency: latency.encode(),
    errors: [...errors],
    detail: results.find(({ detail }) => detail !== undefined)?.detail,
    cpuUs: results.reduce((sum, { cpuUs }) => sum + cpuUs, 0),
    lanes: results.flatMap(({ lanes }) => lanes),
  };
};

/** Connects the publishers of a plan, in this process or in several. Rejects when the server does not answer. */
export const connectFleet = async (plan: Plan, processes: number): Promise<Fleet> => {
  const lanes = lanesOf(plan);
  if (processes === 1) return LocalFleet.connect(plan, 0, lanes);
  const workers = Array.from({ length: processes }, () => new Worker());
  const laneAt = (index: number): number => Math.floor((lanes * index) / processes);
  try {
    await Promise.all(workers.map((worker, i) => worker.connect(plan, laneAt(i), laneAt(i + 1))));
  } catch (error) {
    for (const worker of workers) worker.kill();
    throw error;
  }
  return new ProcessFleet(workers);
};
