/**
 * An actor for tests of exactly once: everything that it may change depends on every message.
 * @module
 */
import { defineActor, jsonRows } from "../../../../actors/define.ts";

export default defineActor({
  name: "tally",
  filter: "in.*",
  state: { count: 0, sum: 0 },
  rows: jsonRows<{ count: number; sum: number }>(),
  async onMessage(message, { state, table, publish }) {
    const value = Number(message.text());
    state.count++;
    state.sum += value;
    const key = `m/${value % 17}`;
    const row = (await table.get(key)) ?? { count: 0, sum: 0 };
    table.put(key, { count: row.count + 1, sum: row.sum + value });
    publish({ subject: "out", data: `${message.subject}:${message.sequence}` });
  },
});
