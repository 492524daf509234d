/**
 * Tells when a user's refunds of an hour exceed a sum, once an hour.
 * @module
 */
import { defineActor, jsonRows } from "../../../../actors/define.ts";

const hourMs = 60 * 60 * 1000;
/** What counts as much, in cents. */
const muchCents = 500_00;

export default defineActor({
  name: "refund-alerts",
  filter: "events.refund",
  state: { alerts: 0, cleanUpAt: 0 },
  rows: jsonRows<{ cents: number; told: boolean }>(),
  async onMessage(message, { state, table, publish, setAlarm, now }) {
    const { user_id: user, amount } = message.json() as { user_id: string; amount: number };
    // Rows of one hour lie together: the hour comes first.
    const hour = Math.floor(now / hourMs);
    const key = `${String(hour).padStart(8, "0")}/${user}`;
    const { cents, told } = (await table.get(key)) ?? { cents: 0, told: false };
    const sum = cents + Math.round(amount * 100);
    if (sum > muchCents && !told) {
      publish({ subject: "alerts.refunds", data: { user_id: user, hour: hour * hourMs, amount: sum / 100 } });
      state.alerts++;
    }
    table.put(key, { cents: sum, told: told || sum > muchCents });
    if (state.cleanUpAt <= now) {
      state.cleanUpAt = (hour + 2) * hourMs;
      setAlarm(state.cleanUpAt);
    }
  },
  // Two hours later nobody adds to it any more.
  async onAlarm({ state, table, setAlarm, now }) {
    const before = String(Math.floor(now / hourMs) - 1).padStart(8, "0");
    const rows = await table.list({ to: before, limit: 1000 });
    for (const { key } of rows) table.delete(key);
    if (rows.length === 1000) {
      state.cleanUpAt = now + 1;
      setAlarm(state.cleanUpAt);
    }
  },
});
