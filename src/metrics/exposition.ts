/**
 * A page of metrics in Prometheus' text format. prom-client owns the registry and the text; its own counters and histograms
 * cost too much where a hundred thousand things are counted in a second, so that nothing is kept here: each family reads
 * plain numbers when the page is asked for.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 * @module
 */
import { type MetricValueWithName, Registry } from "prom-client";
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

/** Durations in seconds. */
export const inSeconds = ({ boundsMs, counts, sumMs }: Durations): Distribution => ({
  bounds: boundsMs.map((ms) => ms / 1000),
  counts,
  sum: sumMs / 1000,
});

/** A number of a family, its labels, and its name where that is not the family's. */
type Value = MetricValueWithName<string>;
/** prom-client's types let in its own metrics alone; its registry itself asks them for no more than a name and `get`. */
type OpenRegistry = Pick<Registry, "contentType" | "metrics"> & { registerMetric(family: { get(): unknown }): void };

/** Families of metrics in the order in which they were added. */
export class Exposition {
  readonly #registry: OpenRegistry = new Registry();

  /** What only grows; its name ends with `_total`. */
  counter(name: string, help: string, read: () => Reading): void {
    this.#add(name, help, "counter", () => plainValues(read()));
  }

  gauge(name: string, help: string, read: () => Reading): void {
    this.#add(name, help, "gauge", () => plainValues(read()));
  }

  histogram(name: string, help: string, read: () => Distribution | Iterable<readonly [Labels, Distribution]>): void {
    this.#add(name, help, "histogram", () => {
      const found = read();
      const all: Iterable<readonly [Labels, Distribution]> = "bounds" in found ? [[{}, found]] : found;
      return [...all].flatMap(([labels, distribution]) => histogramValues(name, labels, distribution));
    });
  }

  /** The content type of the page. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The page. All families are read before this returns, so that their numbers fit together. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #add(name: string, help: string, type: "counter" | "gauge" | "histogram", read: () => readonly Value[]): void {
    const family = { name, get: () => ({ name, help, type, values: read() }) };
    this.#registry.registerMetric(family);
  }
}

const plainValues = (reading: Reading): Value[] => {
  if (reading === undefined) return [];
  const samples: Iterable<Sample> = typeof reading === "number" ? [[{}, reading]] : reading;
  return Array.from(samples, ([labels, value]) => ({ labels, value }));
};

const histogramValues = (name: string, labels: Labels, { bounds, counts, sum }: Distribution): Value[] => {
  let count = 0;
  const buckets = [...bounds.map(String), "+Inf"].map((le, index) => {
    count += counts[index] ?? 0;
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: count };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ];
};
