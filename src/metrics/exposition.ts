/**
 * A page of metrics in Prometheus' text format, version 0.0.4. Nothing is kept here: each family reads its numbers when the
 * page is asked for, so that counting costs no more than an addition.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 * @module
 */
import type { Durations } from "../core/durations.ts";

/** Values of labels by their names. */
export type Labels = Readonly<Record<string, string>>;
/** A number under labels. */
export type Sample = readonly [labels: Labels, value: number];
/** One number, or one for each combination of labels; undefined is not known now and left out. */
export type Reading = number | undefined | Iterable<Sample>;

/** Observations by size: how many were at most so large, for each bound. */
export interface Distribution {
  /** Upper bounds, inclusive, ascending. */
  readonly bounds: readonly number[];
  /** How many fell between a bound and the one before; one more than bounds: the last has what is above all. */
  readonly counts: ArrayLike<number>;
  readonly sum: number;
}

/** The content type of the page. */
export const expositionType = "text/plain; version=0.0.4; charset=utf-8";

/** Durations in seconds. */
export const inSeconds = ({ boundsMs, counts, sumMs }: Durations): Distribution => ({
  bounds: boundsMs.map((ms) => ms / 1000),
  counts,
  sum: sumMs / 1000,
});

/** Families of metrics in the order in which they were added. */
export class Exposition {
  readonly #families: (() => string)[] = [];

  /** What only grows; its name ends with `_total`. */
  counter(name: string, help: string, read: () => Reading): void {
    this.#add(name, "counter", help, () => plainLines(name, read()));
  }

  gauge(name: string, help: string, read: () => Reading): void {
    this.#add(name, "gauge", help, () => plainLines(name, read()));
  }

  histogram(name: string, help: string, read: () => Distribution | Iterable<readonly [Labels, Distribution]>): void {
    this.#add(name, "histogram", help, () => {
      const found = read();
      const all: Iterable<readonly [Labels, Distribution]> = "bounds" in found ? [[{}, found]] : found;
      return [...all].flatMap(([labels, distribution]) => histogramLines(name, labels, distribution));
    });
  }

  text(): string {
    return this.#families.map((family) => family()).join("");
  }

  #add(name: string, type: string, help: string, lines: () => readonly string[]): void {
    const head = `# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}\n# TYPE ${name} ${type}\n`;
    this.#families.push(() => head + lines().join(""));
  }
}

const plainLines = (name: string, reading: Reading): string[] => {
  if (reading === undefined) return [];
  const samples: Iterable<Sample> = typeof reading === "number" ? [[{}, reading]] : reading;
  return [...samples].map(([labels, value]) => line(name, labels, value));
};

const histogramLines = (name: string, labels: Labels, { bounds, counts, sum }: Distribution): string[] => {
  let count = 0;
  const lines = [...bounds, Number.POSITIVE_INFINITY].map((bound, index) => {
    count += counts[index] ?? 0;
    return line(`${name}_bucket`, { ...labels, le: numeral(bound) }, count);
  });
  return [...lines, line(`${name}_sum`, labels, sum), line(`${name}_count`, labels, count)];
};

const line = (name: string, labels: Labels, value: number): string => {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
  return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${numeral(value)}\n`;
};

const escaped = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");

const numeral = (value: number): string => {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  return value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value);
};
