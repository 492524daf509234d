/**
 * What the scenarios of upkeep share.
 * @module
 */
import type { Bench } from "../scenario.ts";
import type { StoreKind } from "./rig.ts";

/** What a scenario of upkeep is made for. */
export interface UpkeepOptions {
  readonly kind: StoreKind;
  /** A line that is written over and over on a terminal. */
  readonly show: (text: string) => void;
}

/** Upkeep as it comes, but soon: what is waited for is work, not time. */
export const promptFlags = ["--sweep-interval", "1s", "--sweep-grace", "1s", "--pointer-lifetime", "1s"] as const;

/** No upkeep at all. */
export const noUpkeepFlags = ["--sweep-interval", "off"] as const;

/**
 * Of the publisher beside, a second: what a machine does without effort. Beside compaction each publish makes a tiny
 * object more, which is rewritten, too: a day's traffic of them is one a second.
 */
export const paces = { sweep: 500, compaction: 20 } as const;

/** Lengths of the whiles, in milliseconds. */
export const whiles = ({ quick }: Bench): { readonly warmupMs: number; readonly beforeMs: number } =>
  quick ? { warmupMs: 1000, beforeMs: 4000 } : { warmupMs: 4000, beforeMs: 15_000 };

/** A share of a number of messages. */
export const scaled = ({ quick }: Bench, messages: number): number => (quick ? messages / 10 : messages);

/** Looks until it is so. @throws Error when that takes too long */
export const waitFor = async (
  what: string,
  isSo: () => Promise<boolean>,
  { everyMs = 500, limitMs = 600_000 } = {},
): Promise<void> => {
  const endsMs = performance.now() + limitMs;
  while (!(await isSo())) {
    if (performance.now() > endsMs) throw new Error(`gave up waiting for ${what}`);
    await Bun.sleep(everyMs);
  }
};
