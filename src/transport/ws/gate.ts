/**
 * What stands before a socket whose caller is not known yet: it may say little, not often, and not for long.
 * @module
 */
import { type Close, closes } from "./close-codes.ts";
import type { WsTimers } from "./heartbeat.ts";

/** How long a socket may stay without a valid token, in milliseconds. */
const unknownMsMax = 2000;
/** Frames that are anything but a valid token, after which it is closed. */
const wrongFramesMax = 3;
/** Largest frame; a token has at most half of it. */
const frameBytesMax = 16 * 1024;
/** Frames that may come behind a token while it is looked at. */
const heldFramesMax = 16;

/** The gate of one socket. */
export class Gate {
  #held: (string | Buffer)[] = [];
  #wrongFrames = 0;
  #checking = false;
  #overdue = false;
  readonly #cancel: () => void;

  constructor(
    private readonly close: (close: Close) => void,
    timers: WsTimers,
  ) {
    this.#cancel = timers.after(unknownMsMax, () => {
      // A token that is being looked at (its keys may have to be fetched first) came in time.
      this.#overdue = true;
      if (!this.#checking) this.close(closes.notAuthenticated);
    });
  }

  /** Whether a frame may be read now; one that comes behind a token waits for `release`. */
  passes(frame: string | Buffer): boolean {
    if (frame.length > frameBytesMax) this.close(closes.tooLargeForUnknown);
    else if (!this.#checking) return true;
    else if (this.#held.push(frame) > heldFramesMax) this.close(closes.notAuthenticated);
    return false;
  }

  /** A token is being looked at. */
  check(): void {
    this.#checking = true;
  }

  /** A frame was something else, or its token was refused. */
  wrongFrame(): void {
    this.#checking = false;
    if (++this.#wrongFrames >= wrongFramesMax || this.#overdue) this.close(closes.notAuthenticated);
  }

  /** What came while a token was looked at, in order. */
  release(): readonly (string | Buffer)[] {
    return this.#held.splice(0);
  }

  /** The caller is known, or gone. */
  end(): void {
    this.#cancel();
  }
}
