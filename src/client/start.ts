/**
 * Where a stream starts, and still starts after a reconnect that came before its first message.
 * @module
 */
import { parseAge } from "../core/duration.ts";
import type { From } from "./options.ts";
import { wireFrom } from "./wire.ts";

/** A `from` that keeps its meaning while time goes on. */
export class Start {
  declare readonly isLast: boolean;
  /** The server decides at the moment of subscribing where this is; nobody can say later. */
  declare readonly isMoment: boolean;
  /** An age or a time: found by asking the server for each subject. */
  declare readonly isTime: boolean;
  /** The sequence at which a subject begins that is not known otherwise. */
  declare readonly sequence: number;
  readonly #from: number | string;
  readonly #ageMs: number | undefined;
  /** When the age was said first. */
  #saidAtMs: number | undefined;

  constructor(given: From) {
    const from = wireFrom(given) ?? "new";
    this.#from = from;
    this.#ageMs = parseAge(String(from));
    this.isLast = from === "last";
    this.isMoment = this.isLast || from === "new";
    this.isTime = !this.isMoment && from !== "first" && Number.isNaN(Number(from));
    this.sequence = Math.max(1, Number(from) || 1);
  }

  /** As the wire has it now: an age grows by the time since it was first said. */
  wire(nowMs: number): number | string {
    if (this.#ageMs === undefined) return this.#from;
    this.#saidAtMs ??= nowMs;
    return `${this.#ageMs + Math.ceil(nowMs - this.#saidAtMs)}ms`;
  }
}
