/**
 * The rounds of a benchmark: every scenario once a round, ours and the peer's next to each other in time.
 * @module
 */
import { loadavg } from "node:os";
import { probeDisk } from "./disk.ts";
import { lookAtMachine, type Machine, ticksNow } from "./machine.ts";
import type { Bench, Reading, Readings, Row, Scenario } from "./scenario.ts";

/** All readings of one row; a round that failed has none. */
export interface RowResult {
  readonly row: Row;
  readonly ours: (Reading | undefined)[];
  readonly peerName: string | undefined;
  readonly peers: (Reading | undefined)[];
}

/** All that a run found out. */
export interface Results {
  readonly machine: Machine;
  readonly quick: boolean;
  readonly rounds: number;
  readonly rows: readonly RowResult[];
  /** One small append made durable, in milliseconds, before and between the scenarios. */
  readonly diskMs: readonly number[];
  /** Over one minute, before each round; the later ones are mostly our own. */
  readonly loads: readonly number[];
  /** Share of the processor time that other machines of the host took, 0 to 1. */
  readonly stolen: number | undefined;
  /** What could not be measured, and why. */
  readonly failures: readonly string[];
  /** Peers that are not installed. */
  readonly hints: readonly string[];
}

/** Disk probes before every scenario. */
const probes = 50;

/** Runs scenarios. @param say told about each step */
export const runRounds = async (
  scenarios: readonly Scenario[],
  rounds: number,
  bench: Bench,
  say: (line: string) => void,
): Promise<Results> => {
  const machine = lookAtMachine(bench.folder);
  const ticks = ticksNow();
  const rows: RowResult[] = [];
  const tables = scenarios.map((scenario) => ({ scenario, results: emptyResults(scenario) }));
  for (const { results } of tables) rows.push(...results);
  const failures: string[] = [];
  const diskMs: number[] = [];
  const loads: number[] = [];
  for (let round = 0; round < rounds; round++) {
    loads.push(loadavg()[0] ?? NaN);
    for (const { scenario, results } of tables) {
      diskMs.push(...(await probeDisk(bench.folder, probes, 0)));
      const attempt = new Attempt(`round ${round + 1}/${rounds} ${scenario.name}`, failures, say);
      // Who goes second finds another disk cache and another processor temperature: they take turns.
      const { ours, peers } = await measureBoth(scenario, bench, attempt, round % 2 === 1);
      for (const result of results) {
        result.ours.push(ours[result.row.id]);
        result.peers.push(peers[result.row.id]);
      }
    }
  }
  const hints = [...new Set(scenarios.flatMap(({ peer }) => peer?.missing() ?? []))];
  const stolen = stolenSince(ticks);
  return { machine, quick: bench.quick, rounds, rows, diskMs, loads, stolen, failures, hints };
};

const emptyResults = ({ rows, peer }: Scenario): RowResult[] => {
  const peerName = peer?.missing() === undefined ? peer?.name : undefined;
  return rows.map((row) => ({ row, peerName, ours: [], peers: [] }));
};

const measureBoth = async (
  scenario: Scenario,
  bench: Bench,
  attempt: Attempt,
  peerFirst: boolean,
): Promise<{ readonly ours: Readings; readonly peers: Readings }> => {
  const { peer } = scenario;
  const measureOurs = () => attempt.measure("ours", () => scenario.measure(bench));
  const measurePeer = async (): Promise<Readings> =>
    peer === undefined || peer.missing() !== undefined ? {} : attempt.measure(peer.name, () => peer.measure(bench));
  if (peerFirst) {
    const peers = await measurePeer();
    return { ours: await measureOurs(), peers };
  }
  const ours = await measureOurs();
  return { ours, peers: await measurePeer() };
};

/** One scenario in one round: what fails is told and noted, and the run goes on. */
class Attempt {
  constructor(
    private readonly where: string,
    private readonly failures: string[],
    private readonly say: (line: string) => void,
  ) {}

  async measure(who: string, measure: () => Promise<Readings>): Promise<Readings> {
    try {
      const readings = await measure();
      this.say(`${this.where} ${who}: ${briefly(readings)}`);
      return readings;
    } catch (error) {
      const failure = `${this.where} ${who}: ${error instanceof Error ? error.message : String(error)}`;
      this.failures.push(failure);
      this.say(`FAILED ${failure}`);
      return {};
    }
  }
}

const briefly = (readings: Readings): string =>
  Object.entries(readings)
    .map(([id, { value }]) => `${id} ${value.toFixed(value < 100 ? 2 : 0)}`)
    .join(", ");

const stolenSince = (before: ReturnType<typeof ticksNow>): number | undefined => {
  const after = ticksNow();
  if (before === undefined || after === undefined || after.all === before.all) return undefined;
  return (after.stolen - before.stolen) / (after.all - before.all);
};
