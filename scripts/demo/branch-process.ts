/**
 * A branch as head office sees it: its process, which may be killed and started again, and what it has said so far.
 * @module
 */
import { join } from "node:path";
import { guard, release } from "../../src/testing/guardian.ts";
import type { Booking, BranchOrder, BranchPlan, BranchReport } from "./branch-plan.ts";

/** What a branch has done, over all its lives. */
export interface BranchTally {
  readonly name: string;
  received: number;
  redelivered: number;
  verified: number;
  killed: number;
  readonly bookings: Booking[];
  /** When each sequence was acknowledged first, in Unix milliseconds. */
  readonly ackedAtMs: Map<number, number>;
  readonly failures: string[];
}

/** A clean end takes no longer than the work on one document. */
const stopMsMax = 15_000;
const entry = join(import.meta.dir, "branch.ts");

/** See the module. */
export class BranchProcess implements AsyncDisposable {
  readonly tally: BranchTally;
  readonly #plan: BranchPlan;
  readonly #onChange: () => void;
  #child: Bun.Subprocess | undefined;
  #ready = Promise.withResolvers<undefined>();
  #holding = Promise.withResolvers<number>();
  #isEnding = false;

  /** @param onChange called after every report */
  constructor(plan: BranchPlan, onChange: () => void) {
    this.#plan = plan;
    this.#onChange = onChange;
    this.tally = {
      ...{ name: plan.name, received: 0, redelivered: 0, verified: 0, killed: 0 },
      ...{ bookings: [], ackedAtMs: new Map(), failures: [] },
    };
  }

  get name(): string {
    return this.#plan.name;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** The sequence in the middle of which it stands still; never resolves when it is not told to. */
  get holding(): Promise<number> {
    return this.#holding.promise;
  }

  /** Starts the process; resolves when it listens. Nothing is fetched before `begin`. */
  async start(): Promise<void> {
    this.#ready = Promise.withResolvers();
    const child = Bun.spawn([process.execPath, "--no-env-file", entry], {
      stdio: ["ignore", "inherit", "inherit"],
      ipc: (message) => this.#hear(message as BranchReport),
    });
    this.#child = child;
    guard(child.pid);
    void child.exited.then((code) => {
      release(child.pid);
      if (this.#child !== child) return;
      this.#child = undefined;
      this.#ready.resolve(undefined);
      if (!this.#isEnding) this.#fail(`its process ended with ${child.signalCode ?? code}`);
    });
    await this.#ready.promise;
  }

  /** Lets it work; `again` after it was killed, and then without standing still. */
  begin(again = false): void {
    this.#tell({ kind: "begin", plan: again ? { ...this.#plan, holdAt: 0 } : this.#plan });
  }

  /** `kill -9` */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    this.tally.killed++;
    child.kill("SIGKILL");
    await child.exited;
  }

  /** Lets it finish its document and end. */
  async stop(): Promise<void> {
    const child = this.#child;
    this.#isEnding = true;
    if (child === undefined) return;
    this.#tell({ kind: "stop" });
    const tooLate = setTimeout(() => child.kill("SIGKILL"), stopMsMax);
    const code = await child.exited;
    clearTimeout(tooLate);
    if (code !== 0) this.#fail(`it ended with ${child.signalCode ?? code}`);
  }

  /** Ends it at once, whatever it does. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true;
    this.#child?.kill("SIGKILL");
    await this.#child?.exited;
  }

  #tell(order: BranchOrder): void {
    this.#child?.send(order);
  }

  #hear(message: BranchReport): void {
    const { tally } = this;
    switch (message.kind) {
      case "ready":
        this.#ready.resolve(undefined);
        break;
      case "received":
        tally.received++;
        if (message.deliveries > 1) tally.redelivered++;
        break;
      case "verified":
        tally.verified++;
        break;
      case "holding":
        this.#holding.resolve(message.sequence);
        break;
      case "booked":
        tally.bookings.push(message.booking);
        break;
      case "acked":
        if (!tally.ackedAtMs.has(message.sequence)) tally.ackedAtMs.set(message.sequence, message.atMs);
        break;
      case "failed":
        this.#fail(message.detail);
        break;
    }
    this.#onChange();
  }

  #fail(detail: string): void {
    this.tally.failures.push(detail);
    this.#onChange();
  }
}
