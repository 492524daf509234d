/**
 * A line on a terminal that is written over and over; where there is no terminal, nothing of it.
 * @module
 */

/** Back to the beginning, erase to the end. */
const eraseLine = "\r\u001b[K";
const redrawMs = 500;

/** See the module. */
export class Progress {
  readonly #terminal: NodeJS.WriteStream;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(terminal: NodeJS.WriteStream) {
    this.#terminal = terminal;
  }

  /** Draws what is asked for now and then, until the next call. */
  show(text: () => string): void {
    this.clear();
    if (!this.#terminal.isTTY) return;
    const draw = (): void => {
      // A line that wraps cannot be erased.
      this.#terminal.write(`${eraseLine}${text().slice(0, this.#terminal.columns - 1)}`);
    };
    draw();
    this.#timer = setInterval(draw, redrawMs);
  }

  /** Makes room for other output. */
  clear(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#terminal.write(eraseLine);
  }
}
