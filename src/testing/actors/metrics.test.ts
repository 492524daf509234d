/**
 * The metrics actor: windows by the minute in which events happened, exact sums, late and malformed events, and a rebuild
 * that comes to the same.
 * @module
 */
import { expect, test } from "bun:test";
import metricsActor from "../../../actors/metrics.ts";
import { eventBody } from "../../codec/event.ts";
import { metricsActorName, minuteKey, minuteRange, parseMinuteKey, readMinute } from "../../codec/event-metrics.ts";
import { type EventType, eventSubject, eventTypes } from "../../core/event.ts";
import { type BrokerRig, draftOf, publishAll } from "../broker-rig.ts";
import { SeededRandom } from "../faults/random.ts";
import { startActorRig } from "./rig.ts";

const hourMs = 60 * 60 * 1000;
const actors = [metricsActor({ eventsLatenessMs: hourMs })];

const eventDraft = (eventType: EventType, amountCents: number, occurredAtMs: number) =>
  draftOf(
    eventSubject(eventType),
    eventBody({ userId: "u", eventType, amountCents, timestamp: new Date(occurredAtMs).toISOString(), occurredAtMs }),
  );

/** All rows, as text. */
const rowsOf = async ({ broker }: BrokerRig): Promise<Record<string, string>> => {
  const { from, to } = minuteRange(0, 9_999_999_960_000);
  const rows = await broker.actorRows(metricsActorName, { from, to, limit: 10_000 });
  return Object.fromEntries(rows.map(({ key, value }) => [key, Buffer.from(value).toString("utf8")]));
};

test("counts and sums by the minute and type, late ones apart", async () => {
  await using rig = await startActorRig(actors);
  const minute = Math.floor(rig.clock.nowMs / 60_000) * 60_000;
  const lateMinute = minute - 2 * hourMs;
  await publishAll(rig, [
    eventDraft("purchase", 10, minute),
    eventDraft("purchase", 20, minute + 59_999),
    eventDraft("purchase", 999_999_999_999_999, minute + 60_000),
    eventDraft("purchase", 999_999_999_999_999, minute + 60_000),
    eventDraft("refund", 5, minute),
    eventDraft("refund", 7, lateMinute),
    // In time still: exactly an hour late.
    eventDraft("return", 3, rig.clock.nowMs - hourMs),
    draftOf("events.purchase", "no event"),
    draftOf(
      "events.purchase",
      eventBody({
        userId: "u",
        eventType: "refund",
        amountCents: 1,
        timestamp: "2024-01-01T00:00:00Z",
        occurredAtMs: 1,
      }),
    ),
    draftOf("events.other", "{}"),
  ]);
  const { state } = await rig.caughtUp("metrics");
  expect(state).toEqual({ malformed: 3 });
  const rows = await rowsOf(rig);
  const hourAgo = Math.floor((rig.clock.nowMs - hourMs) / 60_000) * 60_000;
  expect(rows).toEqual({
    [minuteKey(lateMinute, "refund")]: '{"count":0,"sum":"0","late_count":1,"late_sum":"7"}',
    [minuteKey(rows[minuteKey(hourAgo, "return")] === undefined ? hourAgo - 60_000 : hourAgo, "return")]:
      '{"count":1,"sum":"3","late_count":0,"late_sum":"0"}',
    [minuteKey(minute, "purchase")]: '{"count":2,"sum":"30","late_count":0,"late_sum":"0"}',
    [minuteKey(minute, "refund")]: '{"count":1,"sum":"5","late_count":0,"late_sum":"0"}',
    // Beyond what a binary float can tell apart.
    [minuteKey(minute + 60_000, "purchase")]: '{"count":2,"sum":"1999999999999998","late_count":0,"late_sum":"0"}',
  });
  const [key = "", text = ""] = Object.entries(rows)[0] ?? [];
  expect(parseMinuteKey(key)).toEqual({ minuteMs: lateMinute, eventType: "refund" });
  expect(readMinute(Buffer.from(text))).toEqual({ count: 0, sumCents: 0n, lateCount: 1, lateSumCents: 7n });
});

test("a rebuild while events arrive comes to what counting them one by one comes to", async () => {
  await using rig = await startActorRig(actors);
  const random = new SeededRandom(7);
  const expected = new Map<string, { count: number; sum: bigint; late: number; lateSum: bigint }>();
  const publishSome = async (count: number): Promise<void> => {
    const drafts = Array.from({ length: count }, () => {
      const type = eventTypes[random.integer(0, 2)] ?? "purchase";
      const cents = random.integer(0, 100_000);
      const occurredAtMs = rig.clock.nowMs - random.integer(0, 90 * 60_000);
      const key = minuteKey(Math.floor(occurredAtMs / 60_000) * 60_000, type);
      const row = expected.get(key) ?? { count: 0, sum: 0n, late: 0, lateSum: 0n };
      if (rig.clock.nowMs - occurredAtMs > hourMs) {
        expected.set(key, { ...row, late: row.late + 1, lateSum: row.lateSum + BigInt(cents) });
      } else expected.set(key, { ...row, count: row.count + 1, sum: row.sum + BigInt(cents) });
      return eventDraft(type, cents, occurredAtMs);
    });
    await publishAll(rig, drafts);
  };
  await publishSome(3000);
  await rig.caughtUp("metrics");
  const incremental = await rowsOf(rig);
  await rig.broker.rebuildActor(metricsActorName);
  await rig.until("metrics", ({ lag, rebuilding }) => lag === 0 && !rebuilding);
  expect(await rowsOf(rig)).toEqual(incremental);
  await rig.broker.rebuildActor(metricsActorName);
  for (let round = 0; round < 5; round++) await publishSome(200);
  await rig.until("metrics", ({ lag, rebuilding }) => lag === 0 && !rebuilding);
  const counted = Object.fromEntries(
    [...expected].map(([key, { count, sum, late, lateSum }]) => [
      key,
      `{"count":${count},"sum":"${sum}","late_count":${late},"late_sum":"${lateSum}"}`,
    ]),
  );
  expect(await rowsOf(rig)).toEqual(counted);
});
