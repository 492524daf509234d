/**
 * What a benchmark is made of: a scenario is run as a whole and yields one figure for each of its rows.
 * @module
 */
import type { Target } from "./statistics.ts";

/** What a figure is counted in; how it is printed follows from it. */
export type Unit = "/s" | "s" | "ms" | "MB" | "B" | "x" | "%";

/** One line of the table. */
export interface Row {
  /** The name under which `measure` yields it. */
  readonly id: string;
  readonly title: string;
  readonly unit: Unit;
  /** Left out for a figure that is told and not judged. */
  readonly target?: Target;
  /** How many times as good as the peer it should be, and must be. */
  readonly ratio?: { readonly wanted: number; readonly floor: number };
}

/** One measurement of one row. */
export interface Reading {
  /** In the unit of the row. */
  readonly value: number;
  /** What helps to judge it, each name with its unit. */
  readonly details?: Readonly<Record<string, number>>;
}

/** Readings by the id of their row. */
export type Readings = Readonly<Record<string, Reading>>;

/** What is the same for all scenarios of a run. */
export interface Bench {
  /** Fewer messages and shorter times: to try it out. */
  readonly quick: boolean;
  /** Temporary; everything that is measured stores in it, ours and the peers'. */
  readonly folder: string;
}

/** Someone who does the same work on the same machine. */
export interface Peer {
  readonly name: string;
  /** Why it cannot be measured here, and what to do about it; undefined when it can. */
  missing(): string | undefined;
  measure(bench: Bench): Promise<Readings>;
}

/** What is run in one go. */
export interface Scenario {
  readonly name: string;
  readonly rows: readonly Row[];
  measure(bench: Bench): Promise<Readings>;
  readonly peer?: Peer;
}
