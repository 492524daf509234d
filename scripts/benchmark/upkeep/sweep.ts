/**
 * A million messages that expire at the same moment, beside a publisher that goes on.
 * @module
 */
import { parseSubject } from "../../../src/core/subject.ts";
import { metric, putPolicy } from "../../../src/testing/policies.ts";
import { cpuUsOf } from "../../load-test/cpu.ts";
import type { Bench, Readings, Scenario } from "../scenario.ts";
import { fill } from "./fill.ts";
import { PacedPublisher, paceReading } from "./paced.ts";
import { UpkeepRig } from "./rig.ts";
import { paces, promptFlags, scaled, type UpkeepOptions, waitFor, whiles } from "./scenarios.ts";

const subjects = Array.from({ length: 10 }, (_, index) => parseSubject(`sweep.${index}`));
const bodyBytes = 1024;
/** Enough for an object that is not joined with others for being small. */
const batch = 1100;
/** With times to live, one in so many lives on, in the middle of the others. */
const livingEvery = 11;

/** By the policy of the subjects, or by a time to live of each message. */
type By = "age" | "ttl";

/** When all of them expire, and how many those are. */
interface Filled {
  readonly expiring: number;
  /** With those of the first sweep. */
  readonly living: number;
  readonly objects: ReadonlySet<string>;
  /** Of the first sweep. */
  readonly firstObjects: ReadonlySet<string>;
  /** Unix milliseconds; undefined when it is the policy that is put. */
  readonly expiresAtMs: number | undefined;
}

/** One of so many of the messages is swept, and what lives on of it rewritten, before anything is measured. */
const firstShare = 20;
/** How long that takes at most, in milliseconds. */
const firstMs = 10_000;

const isLiving = (index: number): boolean => index % livingEvery === 0;

const fillAll = async (rig: UpkeepRig, by: By, bench: Bench, { kind, show }: UpkeepOptions): Promise<Filled> => {
  const expiring = scaled(bench, 1_000_000);
  const living = by === "age" ? 0 : expiring / (livingEvery - 1);
  const messages = expiring + living;
  const plan = { batch, lanes: kind === "embedded" ? 1 : 4, subjects, bodyBytes };
  // A server that has never swept meets code that was never run; and how long filling takes has to be known.
  const first = Math.floor(messages / firstShare);
  const startedMs = performance.now();
  const firstObjects = await rig.withStores((stores) => {
    const ttlMs = (index: number): number | undefined => (isLiving(index) ? undefined : 1);
    return fill(stores, { ...plan, subjects: [parseSubject("first")], messages: first, ttlMs });
  });
  const neededMs = ((performance.now() - startedMs) / first) * messages * 1.4;
  const { warmupMs, beforeMs } = whiles(bench);
  const expiresAtMs = Date.now() + Math.round(neededMs + firstMs + warmupMs + beforeMs + 5000);
  const ttlMs = (index: number): number | undefined =>
    by === "age" || isLiving(index) ? undefined : expiresAtMs - Date.now();
  const onProgress = (done: number): void => show(`filling: ${done} of ${messages}`);
  const objects = await rig.withStores((stores) => fill(stores, { ...plan, messages, ttlMs, onProgress }));
  const firstLiving = Math.ceil(first / livingEvery);
  return {
    ...{ expiring, living: living + firstLiving, objects, firstObjects },
    expiresAtMs: by === "age" ? undefined : expiresAtMs,
  };
};

/** Between two looks at how far it is, in milliseconds. */
const lookMs = 500;

/** What is to be reached, in seconds, and how much slower other publishes may be. */
const target = { embedded: 20, remote: 60, p99: 1.3 } as const;

/** Sweeps of expired messages. */
export const sweepScenario = (by: By, options: UpkeepOptions): Scenario => {
  const { kind, show } = options;
  const name = `${kind}-sweep-${by}`;
  const what = by === "age" ? "by max_age" : "by times to live, one in 11 lives on";
  return {
    name,
    rows: [
      {
        id: name,
        title: `${kind}: 1,000,000 expired messages of 1 KB ${what}, until rows and objects are gone`,
        unit: "s",
        target: { atMost: target[kind] },
      },
      {
        id: `${name}-p99`,
        title: `${kind}: p99 of a publisher at ${paces.sweep}/s during that, by p99 before`,
        unit: "x",
        target: { atMost: target.p99 },
      },
    ],
    async measure(bench): Promise<Readings> {
      await using rig = await UpkeepRig.start(kind, bench.folder);
      const fillMs = performance.now();
      const filled = await fillAll(rig, by, bench, options);
      const filledMs = performance.now() - fillMs;
      const { warmupMs, beforeMs } = whiles(bench);
      const server = await rig.startServer([...promptFlags]);
      try {
        await using publisher = await PacedPublisher.start(server.url, paces.sweep, bodyBytes);
        let expiredFirst = 0;
        const expired = async (): Promise<number> =>
          (await metric(server.url, "mts_expired_messages_total")) - expiredFirst;
        show("sweeping for the first time");
        const standing = new Set(filled.firstObjects);
        await waitFor("the first sweep", async () => (await rig.dropGone(standing), standing.size === 0));
        show("publishing without a sweep");
        await Bun.sleep(warmupMs);
        expiredFirst = await expired();
        const fromMs = performance.now();
        const left = new Set(filled.objects);
        const isDue = (): boolean =>
          filled.expiresAtMs === undefined
            ? performance.now() - fromMs >= beforeMs
            : Date.now() >= filled.expiresAtMs - lookMs;
        // What is asked while it sweeps is asked before, too: it costs the publisher the same.
        const look = async (): Promise<number> => {
          const count = await expired();
          await rig.dropGone(left);
          return count;
        };
        await waitFor("the end of what is stored", async () => (await look(), isDue()));
        if (filled.expiresAtMs !== undefined) await Bun.sleep(filled.expiresAtMs - Date.now());
        if (performance.now() - fromMs < beforeMs / 2) throw new Error("filling took too long");
        const startMs = performance.now() + Math.min(0, (filled.expiresAtMs ?? Infinity) - Date.now());
        if (by === "age") await putPolicy(server.url, "sweep.>", { max_age: "1ms" });
        const cpuUs = cpuUsOf(server.pid) ?? NaN;
        let expiredMs = NaN;
        await waitFor("the objects", async () => {
          if ((await look()) >= filled.expiring && Number.isNaN(expiredMs)) expiredMs = performance.now();
          show(`sweeping: ${left.size} of ${filled.objects.size} objects are left`);
          return left.size === 0;
        });
        const endMs = performance.now();
        const usedUs = (cpuUsOf(server.pid) ?? NaN) - cpuUs;
        await publisher.stop();
        // Rows go before objects; a round tells what it did when it ends.
        await waitFor("the figures", async () => (await expired()) >= filled.expiring);
        const failures = await metric(server.url, "mts_sweep_failures_total");
        const before = publisher.between(fromMs, startMs);
        const during = publisher.between(startMs, endMs);
        await server.stop();
        show("reading everything that is left");
        const { messages } = await rig.doctor();
        const published = publisher.published;
        if (messages !== filled.living + published) {
          throw new Error(`${messages} messages are left of ${filled.living} and ${published}`);
        }
        return {
          [name]: {
            value: (endMs - startMs) / 1000,
            details: {
              objects: filled.objects.size,
              // When a round told that the rows are gone, which may be after it has rewritten objects for a while.
              rows_gone_s: ((Number.isNaN(expiredMs) ? endMs : expiredMs) - startMs) / 1000,
              server_cpu_s: usedUs / 1e6,
              sweep_failures: failures,
              fill_s: filledMs / 1000,
            },
          },
          [`${name}-p99`]: paceReading(before, during),
        };
      } finally {
        await server.close();
      }
    },
  };
};
