/**
 * The load test as a part of the benchmark: a process of its own for every measurement, so that none finds the heap
 * of the one before.
 * @module
 */
import { join } from "node:path";
import type { Outcome, Throughput } from "../load-test/outcome.ts";
import { root, runToEnd } from "./children.ts";
import type { Reading } from "./scenario.ts";

/** A kilobyte is 1024 bytes in every row, here and at the peers. */
export const messageBytes = 1024;

/** Arguments that are given as `name: value`. */
export type LoadOptions = Readonly<Record<string, string | number | true>>;

/**
 * Runs a load test.
 * @param options options of `scripts/load-test.ts` without the dashes; without `url` it starts a server of its own
 * @throws Error when a message was lost or damaged, refused, or the run broke off
 */
export const runLoad = async (options: LoadOptions): Promise<Outcome> => {
  const args = Object.entries(options).flatMap(([name, value]) => [
    `--${name}`,
    ...(value === true ? [] : [String(value)]),
  ]);
  const script = join(root, "scripts", "load-test.ts");
  const outcome = JSON.parse(await runToEnd([process.execPath, script, ...args, "--json"])) as Outcome;
  const errors = Object.entries(outcome.errors);
  if (errors.length === 0) return outcome;
  throw new Error(`${errors.map(([code, count]) => `${code} ${count}`).join(", ")}: ${outcome.first_error ?? ""}`);
};

/** The publishing of an outcome. */
export const published = ({ publish }: Outcome): Throughput => {
  if (publish === undefined) throw new Error("the load test published nothing");
  return publish;
};

/** The delivering of an outcome. */
export const delivered = ({ delivery }: Outcome): Throughput => {
  if (delivery === undefined) throw new Error("the load test delivered nothing");
  return delivery;
};

/** A latency of a throughput in milliseconds. */
export const latencyMs = ({ latency_us }: Throughput, percentile: "p50" | "p99" | "max"): number =>
  (latency_us?.[percentile] ?? NaN) / 1000;

/** A reading of messages a second, with what they cost. */
export const rateReading = ({ cpu_us }: Outcome, throughput: Throughput): Reading => {
  const perMessage = (us: number): number => us / throughput.messages;
  const { p50, p99 } = throughput.latency_us ?? {};
  return {
    value: throughput.per_second,
    details: {
      ...(cpu_us.server !== undefined && { server_us_a_message: perMessage(cpu_us.server) }),
      generator_us_a_message: perMessage(cpu_us.generator),
      ...(p50 !== undefined && { p50_ms: p50 / 1000 }),
      ...(p99 !== undefined && { p99_ms: p99 / 1000 }),
    },
  };
};
