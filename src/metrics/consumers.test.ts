import { expect, test } from "bun:test";
import { parseConsumerName, parseSubject } from "../core/subject.ts";
import type { ConsumerBacklog, MetadataStore } from "../metadata/contract.ts";
import { showConsumers } from "./consumers.ts";
import { Exposition } from "./exposition.ts";

/** A store with so many consumers: the nth is n messages behind, one of them leased. */
const storeOf = (count: number): Pick<MetadataStore, "consumerBacklogs"> & { calls: number } => {
  const all = Array.from({ length: count }, (_, index): ConsumerBacklog => {
    const name = parseConsumerName(String(index).padStart(6, "0"));
    return { subject: parseSubject("s"), name, pending: index, ackPending: index === 0 ? 0 : 1 };
  });
  return {
    calls: 0,
    async consumerBacklogs(after, limit) {
      this.calls++;
      return all.filter(({ name }) => after === undefined || name > after.name).slice(0, limit);
    },
  };
};

test.each([
  [0, 1, 0, 0],
  [199, 1, 199, 198],
  [200, 2, 200, 199],
  [1500, 8, 1500, 1499],
  // No further than that.
  [6000, 25, 5000, 4999],
])("%d consumers, page by page", async (count, calls, counted, lagMax) => {
  const page = new Exposition();
  const store = storeOf(count);
  const look = showConsumers(page, store, true);
  await look.refresh();
  expect(store.calls).toBe(calls);
  const text = await page.text();
  expect(text).toContain(`\nmts_consumers ${counted}\n`);
  expect(text).toContain(`\nmts_consumers_lag_messages ${(counted * Math.max(0, counted - 1)) / 2}\n`);
  expect(text).toContain(`\nmts_consumers_lag_messages_max ${lagMax}\n`);
  expect(text).toContain(`\nmts_consumers_ack_pending_messages ${Math.max(0, counted - 1)}\n`);
  expect(text.match(/^mts_consumer_lag_messages\{/gm)?.length ?? 0).toBe(Math.min(counted, 1000));
});
