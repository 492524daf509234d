/**
 * Tables for people: the first column to the left, numbers to the right.
 * @module
 */

/** Page by page; columns only ever grow, so that a long listing need not be held. */
export class Table {
  readonly #titles: readonly string[];
  readonly #widths: number[];
  #hasHead = false;

  constructor(titles: readonly string[]) {
    this.#titles = titles;
    this.#widths = titles.map((title) => title.length);
  }

  /** The lines of these rows; the first time below the titles. */
  lines(rows: readonly (readonly string[])[]): readonly string[] {
    for (const row of rows) {
      for (const [index, cell] of row.entries()) {
        this.#widths[index] = Math.max(this.#widths[index] ?? 0, Bun.stringWidth(cell));
      }
    }
    const all = this.#hasHead ? rows : [this.#titles, ...rows];
    this.#hasHead = true;
    return all.map((row) => row.map((cell, index) => this.#padded(cell, index)).join("  "));
  }

  #padded(cell: string, index: number): string {
    const gap = " ".repeat(Math.max(0, (this.#widths[index] ?? 0) - Bun.stringWidth(cell)));
    return index === 0 ? `${cell}${gap}` : `${gap}${cell}`;
  }
}
