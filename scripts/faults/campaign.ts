/**
 * Round after round: a fault by chance, load around it, the proof behind it. What earlier rounds stored is proven again
 * before it is deleted, so that damage done later is found too.
 * @module
 */
import { publishMsMax } from "../../src/core/limits.ts";
import { SeededRandom } from "../../src/testing/faults/random.ts";
import { type Cluster, startCluster } from "../../src/testing/nodes/cluster.ts";
import { type ClusterFault, clusterFaults, type Victim } from "../../src/testing/nodes/faults.ts";
import { diagnose } from "../../src/testing/nodes/proof.ts";
import { runTrial, type TrialResult } from "../../src/testing/nodes/trial.ts";
import { Archive } from "./archive.ts";
import type { Options } from "./options.ts";
import type { Progress } from "./progress.ts";

/** From a part's return to the first acknowledged publish, in milliseconds. */
const againMsMax: Readonly<Record<Victim, number>> = {
  node: 5000,
  tarantool: 10_000,
  minio: 10_000,
  network: 10_000,
  s3: 10_000,
};
/** The deadline of a publish, and what a busy machine needs to say so. */
const settledMsMax = publishMsMax + 3000;
/** A round that takes longer than this beside its fault hangs. */
const roundMsMax = 180_000;
/** Lengths of stillness in milliseconds: short, about a deadline, a minute; chosen with these chances of a hundred. */
const stillness = [
  { chance: 70, min: 50, max: 3000 },
  { chance: 27, min: 6000, max: 15_000 },
  { chance: 3, min: 60_000, max: 65_000 },
] as const;
/** The doctor looks after so many rounds. */
const doctorRounds = 20;
const standardErrorShown = 2000;

/** What is known of one fault after all its rounds; times in milliseconds. */
export interface FaultSummary {
  readonly name: string;
  rounds: number;
  messages: number;
  failures: number;
  settledMsMax: number;
  againMsMax: number;
  violations: number;
}

/** The outcome. */
export interface Campaign {
  readonly seed: number;
  readonly rounds: number;
  readonly elapsedMs: number;
  readonly faults: readonly FaultSummary[];
  readonly violations: readonly string[];
}

interface Round {
  readonly number: number;
  readonly fault: ClusterFault;
  readonly stillMs: number;
  readonly messages: number;
  readonly random: SeededRandom;
}

/** Runs until the time is over or the signal comes; the round under way is finished. */
export const runCampaign = async (options: Options, progress: Progress, signal: AbortSignal): Promise<Campaign> => {
  const startedMs = performance.now();
  const untilMs = startedMs + options.minutes * 60_000;
  const random = new SeededRandom(options.seed);
  const chosen = choose(options.only);
  const summaries = new Map<string, FaultSummary>();
  const violations: string[] = [];
  let stage = await Stage.start(options.nodes);
  let number = 0;
  try {
    do {
      const chance = chooseRound(++number, chosen, random, untilMs - performance.now());
      const round = { ...chance, stillMs: options.stillMs ?? chance.stillMs };
      const { name } = round.fault;
      progress.show(() => {
        const leftS = Math.max(0, Math.round((untilMs - performance.now()) / 1000));
        return `round ${number}: ${name} … ${violations.length} violations, ${leftS} s left`;
      });
      const { text, found } = await stage.play(round, summaries);
      progress.clear();
      process.stdout.write(`${text}\n`);
      violations.push(...found.map((what) => `round ${number}, ${name}: ${what}`));
      if (found.length > 0) {
        // Nobody knows what state it is in.
        await stage.end();
        stage = await Stage.start(options.nodes);
      }
    } while (performance.now() < untilMs && !signal.aborted);
    violations.push(...(await stage.examine()));
  } finally {
    await stage.end();
  }
  const faults = [...summaries.values()].toSorted((a, b) => a.name.localeCompare(b.name));
  return { seed: options.seed, rounds: number, elapsedMs: performance.now() - startedMs, faults, violations };
};

/** Faults with the text in their name; only the one whose name it is, if there is one. */
const choose = (only: string | undefined): readonly ClusterFault[] => {
  if (only === undefined) return clusterFaults;
  const named = clusterFaults.filter(({ name }) => name === only);
  return named.length > 0 ? named : clusterFaults.filter(({ name }) => name.includes(only));
};

const chooseRound = (number: number, faults: readonly ClusterFault[], random: SeededRandom, leftMs: number): Round => {
  const fault = faults[random.integer(0, faults.length - 1)];
  if (fault === undefined) throw new Error("there is no fault to choose");
  const messages = random.integer(30, 300);
  let dice = random.integer(0, 99);
  const { min, max } = stillness.find(({ chance }) => (dice -= chance) < 0) ?? stillness[0];
  const stillMs = Math.max(stillness[0].min, Math.min(random.integer(min, max), leftMs));
  // A generator of its own: what one round uses up does not change the next.
  return { number, fault, stillMs, messages, random: new SeededRandom(random.integer(0, 0x7fff_ffff)) };
};

/** A cluster and what it holds. */
class Stage {
  readonly #cluster: Cluster;
  readonly #archive = new Archive();

  private constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  static async start(nodes: number): Promise<Stage> {
    return new Stage(await startCluster({ nodes, proxies: true, memory: "512MiB" }));
  }

  async end(): Promise<void> {
    await this.#cluster[Symbol.asyncDispose]();
  }

  /** Plays one round; answers a line about it and what was violated. */
  async play(round: Round, summaries: Map<string, FaultSummary>): Promise<{ text: string; found: readonly string[] }> {
    const { number, fault, stillMs } = round;
    const summary = summaries.get(fault.name) ?? emptySummary(fault.name);
    summaries.set(fault.name, summary);
    const startedMs = performance.now();
    const found: string[] = [];
    let what = "";
    try {
      const result = await within(this.#trial(round), roundMsMax + stillMs);
      book(summary, result);
      found.push(...lateness(fault, result));
      await this.#archive.add(result.ledger, this.#cluster.nodes);
      what = lineOf(result);
      if (number % doctorRounds === 0) await diagnose(this.#cluster);
    } catch (error) {
      found.push(`${error instanceof Error ? error.message : String(error)}\n${this.#lastWords()}`);
    }
    summary.rounds++;
    summary.violations += found.length;
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    const verdict = found.length === 0 ? "ok" : `VIOLATED: ${found.join("; ")}`;
    return {
      text: `round ${number}: ${fault.name}, ${Math.round(stillMs)} ms: ${what}${seconds} s, ${verdict}`,
      found,
    };
  }

  /** What is checked once at the end. */
  async examine(): Promise<readonly string[]> {
    try {
      await this.#archive.prove(this.#cluster.nodes);
      await diagnose(this.#cluster);
      return [];
    } catch (error) {
      return [`at the end: ${error instanceof Error ? error.message : String(error)}`];
    }
  }

  #trial({ number, fault, stillMs, messages, random }: Round): Promise<TrialResult> {
    const cluster = this.#cluster;
    return runTrial(cluster, {
      root: `r${number}`,
      messages,
      unwatched: fault.unwatched ?? [],
      fault: (load) => fault.run({ cluster, load, random, stillMs }),
    });
  }

  #lastWords(): string {
    return this.#cluster.nodes
      .map((node) => `node ${node.name}: ${node.isUp ? node.process.stderr.slice(-standardErrorShown) : "down"}`)
      .join("\n");
  }
}

const emptySummary = (name: string): FaultSummary => ({
  name,
  rounds: 0,
  messages: 0,
  failures: 0,
  settledMsMax: 0,
  againMsMax: 0,
  violations: 0,
});

const failuresOf = ({ book: { failures } }: TrialResult): number =>
  [...failures.values()].reduce((sum, count) => sum + count, 0);

const book = (summary: FaultSummary, result: TrialResult): void => {
  summary.messages += result.ledger.entries.length;
  summary.failures += failuresOf(result);
  summary.settledMsMax = Math.max(summary.settledMsMax, result.book.settledMsMax);
  summary.againMsMax = Math.max(summary.againMsMax, result.againMs);
};

const lateness = ({ victim }: ClusterFault, { book: { settledMsMax: settledMs }, againMs }: TrialResult): string[] => [
  ...(settledMs > settledMsMax ? [`a publish was answered after ${Math.round(settledMs)} ms`] : []),
  ...(againMs > againMsMax[victim] ? [`publishing went on after ${Math.round(againMs)} ms`] : []),
];

const lineOf = (result: TrialResult): string => {
  const failures = [...result.book.failures].map(([code, count]) => `${count} ${code}`).join(", ");
  const settled = Math.round(result.book.settledMsMax);
  return (
    `${result.ledger.entries.length} messages, ${failures === "" ? "no failed attempts" : failures}, ` +
    `slowest answer ${settled} ms, again after ${Math.round(result.againMs)} ms, `
  );
};

const within = async <T>(work: Promise<T>, ms: number): Promise<T> => {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`it hangs: not over after ${Math.round(ms)} ms`)), ms);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
};
