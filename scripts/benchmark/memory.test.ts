import { expect, test } from "bun:test";
import { parseStatus } from "./memory.ts";

test("reads the fields of /proc/PID/status in bytes", () => {
  const status = "Name:\tbun\nVmPeak:\t  900 kB\nVmHWM:\t   12345 kB\nVmRSS:\t   10240 kB\nRssAnon:\t    8192 kB\n";
  expect(parseStatus(status)).toEqual({ total: 10_485_760, anonymous: 8_388_608, peak: 12_641_280 });
});

test("says which field is missing", () => {
  expect(() => parseStatus("VmRSS:\t1 kB\n")).toThrow("RssAnon");
});
