/**
 * What a person watching a terminal sees: a line on standard error that is written over and over, and a bar on it.
 * Nothing of it is written where there is no terminal.
 * @module
 */
import { clockText, count, sizeText } from "./format.ts";
import type { Io } from "./io.ts";

/** Between two drawings; faster than eyes, slower than terminals. */
const redrawMsMin = 100;
/** Back to the beginning, erase to the end. */
const eraseLine = "\r\u001b[K";

/** A line that changes. */
export class StatusLine {
  readonly #io: Io;
  #drawnMs = Number.NEGATIVE_INFINITY;
  /** What is on the terminal now; empty when nothing is. */
  #shown = "";

  constructor(io: Io) {
    this.#io = io;
  }

  /** Draws the text, unless it was drawn a moment ago. */
  show(text: string): void {
    if (!this.#io.stderrIsTerminal) return;
    const nowMs = this.#io.nowMs();
    if (nowMs - this.#drawnMs < redrawMsMin) return;
    this.#drawnMs = nowMs;
    // A line that wraps cannot be erased.
    this.#shown = text.slice(0, this.#io.columns() - 1);
    this.#io.stderr(`${eraseLine}${this.#shown}`);
  }

  /** Makes room for other output; the next `show` draws at once. */
  clear(): void {
    if (this.#shown === "") return;
    this.#shown = "";
    this.#drawnMs = Number.NEGATIVE_INFINITY;
    this.#io.stderr(eraseLine);
  }

  /** Lines for standard output; where that is the same terminal, they go above this one. */
  above(lines: string): string {
    return this.#shown === "" || !this.#io.stdoutIsTerminal ? lines : `${eraseLine}${lines}${this.#shown}`;
  }
}

/** Less than this is done before anybody looks. */
const shownBytesMin = 4 * 1024 * 1024;
const shownMessagesMin = 20;
const barCharacters = 24;

/** How far publishing has come; totals are undefined where the end is not known. */
export interface Progress {
  readonly bytes: number;
  readonly bytesTotal: number | undefined;
  readonly messages: number;
  readonly messagesTotal: number | undefined;
}

/** Whether there is enough to do to show it. */
export const isWorthShowing = ({ bytes, bytesTotal, messages, messagesTotal }: Progress): boolean =>
  Math.max(bytes, bytesTotal ?? 0) > shownBytesMin || Math.max(messages, messagesTotal ?? 0) > shownMessagesMin;

/** The line, e.g. ` 62% ███████████████·········  12.4 MiB of 20.0 MiB  3 of 4 messages  35.1 MiB/s  0:02 left`. */
export const progressText = (progress: Progress, elapsedMs: number): string => {
  const { bytes, bytesTotal, messages, messagesTotal } = progress;
  const bytesPerSecond = elapsedMs > 0 ? (bytes * 1000) / elapsedMs : 0;
  const done =
    messagesTotal === undefined ? count(messages, "message") : `${messages} of ${count(messagesTotal, "message")}`;
  const rate = `${sizeText(bytesPerSecond)}/s`;
  if (bytesTotal === undefined || bytesTotal === 0) return [sizeText(bytes), done, rate].join("  ");
  const share = Math.min(1, bytes / bytesTotal);
  const filled = Math.floor(share * barCharacters);
  const bar = "█".repeat(filled) + "·".repeat(barCharacters - filled);
  const left = bytesPerSecond > 0 ? `  ${clockText((bytesTotal - bytes) / bytesPerSecond)} left` : "";
  const percent = `${Math.floor(share * 100)}%`.padStart(4);
  return `${percent} ${bar}  ${sizeText(bytes)} of ${sizeText(bytesTotal)}  ${done}  ${rate}${left}`;
};
