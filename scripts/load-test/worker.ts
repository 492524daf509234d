/**
 * A process of its own that publishes a share of the lanes; it is told what to do by the process that started it and
 * ends with it.
 * @module
 */
import { CpuMeter, ownCpuUs } from "./cpu.ts";
import type { FleetProgress, FleetResult, Phase } from "./fleet.ts";
import { LocalFleet } from "./fleet.ts";
import type { Plan } from "./plan.ts";

/** What a worker is told. */
export type WorkerOrder =
  | { readonly kind: "connect"; readonly plan: Plan; readonly laneFrom: number; readonly laneTo: number }
  | { readonly kind: "start"; readonly phase: Phase }
  | { readonly kind: "stop" }
  | { readonly kind: "finish" };

/** What a worker says. `started` counts the phases that it has begun when it says so. */
export type WorkerReport =
  | { readonly kind: "connected" }
  | { readonly kind: "failed"; readonly detail: string }
  | { readonly kind: "progress"; readonly started: number; readonly progress: FleetProgress }
  | { readonly kind: "finished"; readonly result: FleetResult };

const progressEveryMs = 50;

const report = (message: WorkerReport): void => {
  process.send?.(message);
};

let fleet: LocalFleet | undefined;
let started = 0;
let meter: CpuMeter | undefined;

const obey = async (order: WorkerOrder): Promise<void> => {
  switch (order.kind) {
    case "connect":
      fleet = await LocalFleet.connect(order.plan, order.laneFrom, order.laneTo);
      setInterval(() => {
        if (fleet !== undefined) report({ kind: "progress", started, progress: fleet.progress() });
      }, progressEveryMs);
      report({ kind: "connected" });
      break;
    case "start":
      started++;
      if (order.phase.measured) meter = new CpuMeter(ownCpuUs);
      fleet?.start(order.phase);
      break;
    case "stop":
      fleet?.stop();
      break;
    case "finish":
      if (fleet !== undefined) {
        const result = { ...(await fleet.finish()), cpuUs: meter?.usedUs() ?? 0 };
        report({ kind: "finished", result });
      }
      fleet = undefined;
      break;
  }
};

if (import.meta.main) {
  // Ctrl-C reaches all processes of a terminal; what it means is for the first one to say.
  process.on("SIGINT", () => undefined);
  process.on("disconnect", () => process.exit(0));
  process.on("message", (order: WorkerOrder) => {
    obey(order).catch((error: unknown) => {
      report({ kind: "failed", detail: error instanceof Error ? error.message : String(error) });
    });
  });
}
