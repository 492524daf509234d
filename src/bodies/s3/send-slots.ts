/**
 * How much of large bodies is on its way at once.
 * @module
 */
import { Slots } from "./slots.ts";

/** Parts and whole bodies of all uploads. */
const sentBytesMax = 64 * 1024 * 1024;
/** Counted for a smaller one: 32 requests at once are enough for any line, and leave connections for the rest. */
const sentBytesMin = 2 * 1024 * 1024;

/** Lets sends in by their bytes. */
export class SendSlots {
  readonly #slots = new Slots(sentBytesMax);

  /** Runs a send of so many bytes when there is room for it. */
  async run<T>(bytes: number, send: () => Promise<T>): Promise<T> {
    return this.#slots.run(send, Math.max(bytes, sentBytesMin));
  }
}
