/**
 * What upkeep costs while it has nothing to do: publishing beside an idle sweeper, and beside many delayed messages.
 * @module
 */
import { parseSubject } from "../../../src/core/subject.ts";
import { latencyMs, published, rateReading, runLoad } from "../load.ts";
import type { Bench, Reading, Readings, Scenario } from "../scenario.ts";
import { fill } from "./fill.ts";
import { UpkeepRig } from "./rig.ts";
import { noUpkeepFlags, scaled, type UpkeepOptions } from "./scenarios.ts";

/** As it comes would be a round every ten seconds; more often is worse. */
const idleFlags = ["--sweep-interval", "1s"] as const;
const hourMs = 3_600_000;
const bodyBytes = 1024;

const measureOn = async (rig: UpkeepRig, flags: readonly string[], bench: Bench): Promise<Reading> => {
  const server = await rig.startServer(flags);
  try {
    const load = { url: server.url, warmup: "2s", size: `${bodyBytes}B`, subscribers: 0 };
    const outcome = await runLoad({ ...load, duration: bench.quick ? "3s" : "6s", window: 1000 });
    const lone = await runLoad({ ...load, duration: "3s", warmup: "1s", window: 1 });
    const reading = rateReading(outcome, published(outcome));
    const details = { ...reading.details, lone_p50_ms: latencyMs(published(lone), "p50") };
    return { ...reading, details };
  } finally {
    await server.close();
  }
};

/** The share of upkeep in a hot path. */
export const hotPathScenario = (options: UpkeepOptions): Scenario => {
  const { kind, show } = options;
  const name = `${kind}-idle`;
  return {
    name,
    rows: [
      { id: `${name}-off`, title: `${kind}: publish over ws, 1 KB, window 1,000, no upkeep`, unit: "/s" },
      { id: name, title: `${kind}: the same, upkeep looks every second and 100,000 delayed messages wait`, unit: "/s" },
      { id: `${name}-share`, title: `${kind}: with it, by without`, unit: "x", target: { atLeast: 0.95 } },
    ],
    async measure(bench): Promise<Readings> {
      const fresh = async (messages: number, flags: readonly string[]): Promise<Reading> => {
        await using rig = await UpkeepRig.start(kind, bench.folder);
        if (messages > 0) {
          const onProgress = (done: number): void => show(`delaying: ${done} of ${messages}`);
          const plan = { messages, batch: 1000, lanes: 1, subjects: [parseSubject("later")], bodyBytes, onProgress };
          await rig.withStores((stores) => fill(stores, { ...plan, deliverAt: { inMs: hourMs } }));
        }
        show("publishing");
        return await measureOn(rig, flags, bench);
      };
      const off = await fresh(0, noUpkeepFlags);
      const on = await fresh(scaled(bench, 100_000), idleFlags);
      return { [`${name}-off`]: off, [name]: on, [`${name}-share`]: { value: on.value / off.value } };
    },
  };
};
