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
  const hints = new Set<string>();
  const failures: string[] = [];
  const diskMs: number[] = [];
  const loads: number[] = [];
  const tables = scenarios.map((scenario) => emptyTable(scenario, hints));
  for (let round = 0; round < rounds; round++) {
    loads.push(loadavg()[0] ?? NaN);
    for (const [index, scenario] of scenarios.entries()) {
      diskMs.push(...(await probeDisk(bench.folder, probes, 0)));
      const where = `round ${round + 1}/${rounds} ${scenario.name}`;
      const attempt = async (who: string, measure: () => Promise<Readings>): Promise<Readings> => {
        try {
          const readings = await measure();
          say(`${where} ${who}: ${briefly(readings)}`);
          return readings;
        } catch (error) {
          const detail = error instanceof Error ? error.message : String(error);
          failures.push(`${where} ${who}: ${detail}`);
          say(`${where} ${who} FAILED: ${detail}`);
          return {};
        }
      };
      const { peer } = scenario;
      const ours = () => attempt("ours", () => scenario.measure(bench));
      const theirs = async (): Promise<Readings> =>
        peer !== undefined && peer.missing() === undefined ? attempt(peer.name, () => peer.measure(bench)) : {};
      // Who goes second finds another disk cache and another processor temperature: take turns.
      const [own, other] = round % 2 === 0 ? [await ours(), await theirs()] : swap([await theirs(), await ours()]);
      for (const table of tables[index] ?? []) {
        table.ours.push(own[table.row.id]);
        table.peers.push(other[table.row.id]);
      }
    }
  }
  return {
    ...{ machine, quick: bench.quick, rounds, rows: tables.flat(), diskMs, loads, failures, hints: [...hints] },
    stolen: stolenSince(ticks),
  };
};

const swap = <A, B>([a, b]: readonly [A, B]): [B, A] => [b, a];

const emptyTable = ({ rows, peer }: Scenario, hints: Set<string>): RowResult[] => {
  const hint = peer?.missing();
  if (hint !== undefined) hints.add(hint);
  const peerName = hint === undefined ? peer?.name : undefined;
  return rows.map((row) => ({ row, peerName, ours: [], peers: [] }));
};

const briefly = (readings: Readings): string =>
  Object.entries(readings)
    .map(([id, { value }]) => `${id} ${value.toFixed(value < 100 ? 2 : 0)}`)
    .join(", ");

const stolenSince = (before: ReturnType<typeof ticksNow>): number | undefined => {
  const after = ticksNow();
  if (before === undefined || after === undefined || after.all === before.all) return undefined;
  return (after.stolen - before.stolen) / (after.all - before.all);
};
