import { expect, test } from "bun:test";
import { parseRedisBenchmark } from "./redis.ts";

const names =
  '"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"';

test("reads the last line of redis-benchmark by the names of the first", () => {
  const csv = `${names}\n"XADD s * d abc","72674.41","16.883","2.856","14.103","36.927","55.327","58.207"\n`;
  expect(parseRedisBenchmark(csv)).toEqual({ perSecond: 72_674.41, p50Ms: 14.103, p99Ms: 55.327 });
});

test("a command that looks like values does not confuse it", () => {
  const csv = `WARNING: no config\n${names}\n"XADD "1","2" "3"","10.00","1.000","2.000","3.000","4.000","5.000","6.000"`;
  expect(parseRedisBenchmark(csv)).toEqual({ perSecond: 10, p50Ms: 3, p99Ms: 5 });
});

test("anything else is refused", () => {
  expect(() => parseRedisBenchmark("Could not connect to Redis\n")).toThrow("rps");
  expect(() => parseRedisBenchmark(`${names}\n`)).toThrow("rps");
});
