/**
 * What all lanes of a fuzz run share: how much is left to send, the figures, and the last frames before a failure.
 * @module
 */
import { SeededRandom } from "../../faults/random.ts";
import type { TestServer } from "../../server.ts";
import type { Figures } from "./figures.ts";

/** Frames that a lane remembers for the report of a failure. */
const rememberedFrames = 24;
/** Bytes of a remembered frame that are shown. */
const shownBytes = 400;
/** Codes that say that the server itself is at fault. */
const ownFaults: ReadonlySet<unknown> = new Set(["internal", "data_loss"]);

/** One sender with its own chance, so that what it sends does not depend on the others. */
export class Lane {
  readonly random: SeededRandom;
  readonly #last: Uint8Array[] = [];

  constructor(
    readonly name: string,
    seed: number,
    readonly server: TestServer,
    readonly figures: Figures,
    /** Takes one frame from what is left to send; false when the run is over. */
    readonly next: () => boolean,
  ) {
    this.random = new SeededRandom(seed);
  }

  /** Remembers what is sent. */
  sending(frame: Uint8Array): void {
    this.#last.push(frame);
    if (this.#last.length > rememberedFrames) this.#last.shift();
    this.figures.sent++;
  }

  /** Counts an error by its code; a fault of the server's own is a failure. */
  refused(code: unknown, detail: unknown): string {
    if (ownFaults.has(code)) this.fail(`answered ${String(code)}: ${String(detail)}`);
    return String(code);
  }

  /** Ends the run with what this lane sent last. */
  fail(what: string): void {
    const last = this.#last.map(
      (frame) => `${frame.length} bytes ${Buffer.from(frame).toString("hex", 0, shownBytes)}`,
    );
    this.figures.fail(`${this.name}: ${what}\nlast frames of the lane, the newest last, in hex:\n${last.join("\n")}`);
  }
}
