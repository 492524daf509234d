/**
 * The cases that every metadata driver passes: the contract of `contract.ts`, rule by rule. A driver's own test runs
 * them and adds only what is its own.
 * @module
 */
import { describe, test } from "bun:test";
import { ackAllCases } from "./cases/ack-all.ts";
import { ackedCases } from "./cases/acked.ts";
import { actorChangeCases } from "./cases/actor-changes.ts";
import { actorStepCases } from "./cases/actor-steps.ts";
import { actorCases } from "./cases/actors.ts";
import { commitCases } from "./cases/commit.ts";
import { compactionCases } from "./cases/compaction.ts";
import { consumerCases } from "./cases/consumers.ts";
import { deadCases } from "./cases/dead.ts";
import { deadLetterCases } from "./cases/dead-letters.ts";
import { delayedCases } from "./cases/delayed.ts";
import { explicitCases } from "./cases/explicit.ts";
import { explicitTimeCases } from "./cases/explicit-time.ts";
import { goneCases } from "./cases/gone.ts";
import type { Cases, MetadataHarness } from "./cases/kit.ts";
import { listingCases } from "./cases/listing.ts";
import { modelCases } from "./cases/model.ts";
import { purgeCases } from "./cases/purge.ts";
import { rangeCases } from "./cases/range.ts";
import { retentionCases } from "./cases/retention.ts";
import { ttlCases } from "./cases/ttl.ts";

export type { MetadataHarness } from "./cases/kit.ts";

/** What a driver cannot do, with the reason. */
export interface MetadataCasesOptions {
  /** Why the driver's clock cannot be moved; the cases that need it are skipped. */
  readonly withoutClock?: string;
}

/**
 * Describes the contract for a driver.
 * @param open makes an empty store on a place of its own
 * @example
 * ```ts
 * metadataCases("sqlite", async () => { … return { store, dedupeWindowMs, reopen, advance, close }; });
 * ```
 */
export const metadataCases = (
  name: string,
  open: () => Promise<MetadataHarness>,
  options: MetadataCasesOptions = {},
): void => {
  const run = async (body: (harness: MetadataHarness) => Promise<void>): Promise<void> => {
    const harness = await open();
    try {
      await body(harness);
    } finally {
      await harness.close();
    }
  };
  const { withoutClock } = options;
  const cases: Cases = {
    case: (title, body) => test(title, () => run(body)),
    timed: (title, body) => {
      if (withoutClock !== undefined) {
        test.skip(`${title} (${withoutClock})`, () => undefined);
        return;
      }
      test(title, () =>
        run(async (harness) => {
          if (harness.advance === undefined) throw new Error("A harness without a clock must say why.");
          const advance = harness.advance.bind(harness);
          await body(harness, async (ms) => {
            await advance(ms);
          });
        }),
      );
    },
  };
  describe(`metadata contract: ${name}`, () => {
    describe("commit", () => commitCases(cases));
    describe("range, heads and times", () => rangeCases(cases));
    describe("subjects", () => listingCases(cases));
    describe("purge", () => purgeCases(cases));
    describe("consumers", () => consumerCases(cases));
    describe("ack: all", () => ackAllCases(cases));
    describe("ack: explicit", () => explicitCases(cases));
    describe("ack: explicit, over time", () => explicitTimeCases(cases));
    describe("retention", () => retentionCases(cases));
    describe("time to live", () => ttlCases(cases));
    describe("gone from the middle", () => goneCases(cases));
    describe("acknowledged by all", () => ackedCases(cases));
    describe("dead objects", () => deadCases(cases));
    describe("delayed messages", () => delayedCases(cases));
    describe("dead letters", () => deadLetterCases(cases));
    describe("compaction", () => compactionCases(cases));
    describe("actors: leases and generations", () => actorCases(cases));
    describe("actors: steps", () => actorStepCases(cases));
    describe("changed rows of actors", () => actorChangeCases(cases));
    describe("against a model", () => modelCases(cases));
  });
};
