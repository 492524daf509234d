/**
 * What a run found out: plain data, named as it is printed with `--json`.
 * @module
 */
import type { Violations } from "./delivery-check.ts";
import type { Latency, LatencySummary } from "./latency.ts";

/** Messages, bytes and time of one direction. */
export interface Throughput {
  readonly messages: number;
  /** Of bodies. */
  readonly bytes: number;
  /** From the start of the measuring to the last message. */
  readonly seconds: number;
  readonly per_second: number;
  /** Millions of body bytes a second. */
  readonly mb_per_second: number;
  /** Microseconds; not there when only throughput is measured. */
  readonly latency_us?: LatencySummary;
}

/** The result of a run. */
export interface Outcome {
  readonly publish?: Throughput;
  /** Over all subscribers together. */
  readonly delivery?: Throughput;
  /** Processor time of what was measured, in microseconds; the server's when it was started for the run. */
  readonly cpu_us: { readonly generator: number; readonly server?: number };
  /** Messages by the code of what went wrong. */
  readonly errors: Readonly<Record<string, number>>;
  /** The first error in words. */
  readonly first_error?: string;
  /** Deliveries whose content was compared. */
  readonly verified: number;
  readonly violations: Violations;
  /** Messages of others that came by; only their sequences were looked at. */
  readonly foreign: number;
  /** Connections that ended before their time. */
  readonly broken_connections: number;
  readonly interrupted: boolean;
}

/** @param us from the start of the measuring to the last message */
export const throughput = (messages: number, bytes: number, us: number, latency: Latency): Throughput => {
  const seconds = messages === 0 ? 0 : Math.max(us, 1) / 1e6;
  const latencyUs = latency.summary();
  return {
    messages,
    bytes,
    seconds: round(seconds, 3),
    per_second: seconds === 0 ? 0 : Math.round(messages / seconds),
    mb_per_second: seconds === 0 ? 0 : round(bytes / seconds / 1e6, 2),
    ...(latencyUs && { latency_us: latencyUs }),
  };
};

const round = (value: number, digits: number): number => Number(value.toFixed(digits));
