/**
 * Calls of one kind: how many, how they ended, how long they took.
 * @module
 */
import type { CallObserver } from "../core/calls.ts";
import { Durations } from "../core/durations.ts";
import { type Distribution, inSeconds, type Labels, type Sample } from "./exposition.ts";

/** Counts calls by operation. */
export class CallFigures {
  readonly #outcomes = new Map<string, Map<string, number>>();
  readonly #durations = new Map<string, Durations>();

  readonly observe: CallObserver = (operation, ms, outcome) => {
    let outcomes = this.#outcomes.get(operation);
    let durations = this.#durations.get(operation);
    if (outcomes === undefined || durations === undefined) {
      this.#outcomes.set(operation, (outcomes = new Map<string, number>()));
      this.#durations.set(operation, (durations = new Durations(2)));
    }
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    durations.add(ms);
  };

  /** @param label name of the label that has the operation */
  *counts(label: string): Iterable<Sample> {
    for (const [operation, outcomes] of this.#outcomes) {
      for (const [outcome, count] of outcomes) yield [{ [label]: operation, outcome }, count];
    }
  }

  *durations(label: string): Iterable<readonly [Labels, Distribution]> {
    for (const [operation, durations] of this.#durations) yield [{ [label]: operation }, inSeconds(durations)];
  }
}

/** Calls to the stores, as the server makes them and as the drivers of remote ones send them. */
export class StoreFigures {
  readonly #calls = {
    metadata: new CallFigures(),
    bodies: new CallFigures(),
    tarantool: new CallFigures(),
    s3: new CallFigures(),
  };
  readonly metadata = this.#calls.metadata.observe;
  readonly bodies = this.#calls.bodies.observe;
  readonly tarantool = this.#calls.tarantool.observe;
  readonly s3 = this.#calls.s3.observe;

  get calls(): Readonly<Record<"metadata" | "bodies" | "tarantool" | "s3", CallFigures>> {
    return this.#calls;
  }
}
