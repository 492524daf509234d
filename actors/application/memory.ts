/**
 * What an actor remembers from step to step: its state, its alarm, and the rows that it knows, as they are stored.
 * @module
 */
import { assert } from "../../src/core/errors.ts";
import type { ActorRecord } from "../../src/metadata/contract.ts";
import type { ActorDefinition } from "../define.ts";
import { StepFault, textOf } from "./faults.ts";
import type { Change } from "./lease.ts";
import type { Step, StepStart } from "./step.ts";
import { KnownRows } from "./table.ts";

const stateBytesMax = 1024 * 1024;

const utf8 = new TextDecoder();

/** What a step changes of it. */
export interface MemoryChange {
  readonly change: Pick<Change, "rows" | "state" | "alarmAtMs">;
  /** The state as it will be stored. */
  readonly stateText: string;
}

/** The memory of one ownership. */
export class Memory {
  readonly #definition: ActorDefinition;
  readonly #known = new KnownRows();
  /** As it is stored; "" when it is not. */
  #stateText: string;
  #state: object;
  #alarmAtMs: number | null;

  constructor(definition: ActorDefinition, { state, alarmAtMs }: Pick<ActorRecord, "state" | "alarmAtMs">) {
    this.#definition = definition;
    this.#stateText = state === null ? "" : utf8.decode(state);
    this.#state = this.#storedState();
    this.#alarmAtMs = alarmAtMs;
  }

  /** Unix milliseconds; null when none is set. */
  get alarmAtMs(): number | null {
    return this.#alarmAtMs;
  }

  /** What the next step begins with; it changes the state in place. */
  start(): StepStart {
    return { state: this.#state, known: this.#known, alarmAtMs: this.#alarmAtMs };
  }

  /** What a step changes. @throws StepFault when it cannot be stored */
  changeOf(step: Step): MemoryChange {
    const stateText = stateTextOf(step.state);
    const change = {
      rows: rowsOf(step),
      state: stateText === this.#stateText ? undefined : Buffer.from(stateText, "utf8"),
      alarmAtMs: step.isAlarmChanged ? step.alarmAtMs : undefined,
    };
    return { change, stateText };
  }

  /** A step is stored, and what it changed. */
  stored(step: Step, { stateText }: MemoryChange): void {
    this.#stateText = stateText;
    if (step.isAlarmChanged) this.#alarmAtMs = step.alarmAtMs;
    step.table.stored();
  }

  /** Forgets what a step changed that was not stored. */
  restore(): void {
    this.#state = this.#storedState();
  }

  #storedState(): object {
    return this.#stateText === "" ? structuredClone(this.#definition.state) : asObject(JSON.parse(this.#stateText));
  }
}

/** @throws StepFault when it is none that can be stored */
const stateTextOf = (state: object): string => {
  let text: string;
  try {
    text = JSON.stringify(state);
  } catch (error) {
    throw new StepFault(`The state cannot be written as JSON: ${textOf(error)}`);
  }
  // Cheap unless it is near the limit.
  if (text.length * 3 > stateBytesMax && Buffer.byteLength(text, "utf8") > stateBytesMax) {
    throw new StepFault(`The state is larger than ${stateBytesMax} bytes; keep what grows in the table.`);
  }
  return text;
};

/** @throws StepFault when one cannot be stored */
const rowsOf = (step: Step): Change["rows"] => {
  try {
    return step.table.changes();
  } catch (error) {
    throw new StepFault(`A row cannot be written: ${textOf(error)}`);
  }
};

const asObject = (raw: unknown): object => {
  assert(typeof raw === "object" && raw !== null, "a state is stored as it was: an object");
  return raw;
};
