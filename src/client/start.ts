/**
 * Where a stream starts, and still starts after a reconnect that came before its first message.
 * @module
 */
import { parseAge } from "../core/duration.ts";
import type { From } from "./options.ts";
import { wireFrom } from "./wire.ts";

/** A `from` that keeps its meaning while time goes on. */
export class Start {
  readonly #from: number | string;
  readonly #ageMs: number | undefined;
  /** When the age was said first. */
  #saidAtMs: number | undefined;

  constructor(from: From) {
    this.#from = wireFrom(from);
    this.#ageMs = typeof this.#from === "string" ? parseAge(this.#from) : undefined;
  }

  /** As the wire has it now: an age grows by the time since it was first said. */
  wire(nowMs: number): number | string {
    if (this.#ageMs === undefined) return this.#from;
    this.#saidAtMs ??= nowMs;
    return `${this.#ageMs + Math.ceil(nowMs - this.#saidAtMs)}ms`;
  }

  /** The server decided at the moment of subscribing where this is; nobody can say later. */
  get isMoment(): boolean {
    return this.#from === "new" || this.#from === "last";
  }

  get isLast(): boolean {
    return this.#from === "last";
  }

  /** An age or a time: found by asking the server for each subject. */
  get isTime(): boolean {
    return typeof this.#from === "string" && !/^(?:\d+|first|new|last)$/.test(this.#from);
  }

  /** The sequence at which a subject begins that is not known otherwise. */
  get sequence(): number {
    const sequence = this.isTime ? 1 : Number(this.#from);
    return Number.isNaN(sequence) ? 1 : Math.max(1, sequence);
  }
}
