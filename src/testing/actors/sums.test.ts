/**
 * The sums of the Event Hub are at any time what the table of the metrics actor says: while events arrive for new minutes
 * and old ones, through rebuilds, and whatever span was asked for before.
 * @module
 */
import { expect, test } from "bun:test";
import metricsActor from "../../../actors/metrics.ts";
import type { Broker } from "../../broker/contract.ts";
import { eventBody } from "../../codec/event.ts";
import { metricsActorName, minuteRange, parseMinuteKey, readMinute } from "../../codec/event-metrics.ts";
import { eventSubject, eventTypes } from "../../core/event.ts";
import type { MinuteBlock, MinuteMetrics } from "../../hub/contract.ts";
import { createEventHub } from "../../hub/index.ts";
import { draftOf, publishAll } from "../broker-rig.ts";
import { SeededRandom } from "../faults/random.ts";
import { startActorRig } from "./rig.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const actors = [metricsActor({ eventsLatenessMs: hourMs })];

type Span = Parameters<ReturnType<typeof createEventHub>["metrics"]>[1];

/** Read plainly, and all of it. */
const plainly = async (broker: Broker, { fromMs, toMs, eventType }: Span): Promise<readonly MinuteMetrics[]> => {
  const minutes: MinuteMetrics[] = [];
  const { from, to } = minuteRange(fromMs, toMs);
  for (let next = from; ; ) {
    const rows = await broker.actorRows(metricsActorName, { from: next, to, limit: 1000 });
    for (const { key, value } of rows) {
      const named = parseMinuteKey(key);
      if (named !== undefined) minutes.push({ ...named, ...readMinute(value) });
    }
    const last = rows.at(-1);
    if (last === undefined) break;
    next = `${last.key}\0`;
  }
  return minutes.filter((minute) => eventType === undefined || minute.eventType === eventType);
};

const minutesOf = (blocks: readonly MinuteBlock[]): readonly MinuteMetrics[] =>
  blocks.flatMap(({ minutes }) => minutes);

/** That the totals of every block are those of its minutes, and that none is empty. */
const proveTotals = (blocks: readonly MinuteBlock[]): void => {
  for (const { minutes, totals } of blocks) {
    expect([...totals.keys()].toSorted()).toEqual([...new Set(minutes.map(({ eventType }) => eventType))].toSorted());
    for (const [type, { count, sumCents, lateCount, lateSumCents }] of totals) {
      const own = minutes.filter(({ eventType }) => eventType === type);
      const sums = [
        own.reduce((sum, each) => sum + each.count, 0),
        own.reduce((sum, each) => sum + each.sumCents, 0n),
        own.reduce((sum, each) => sum + each.lateCount, 0),
        own.reduce((sum, each) => sum + each.lateSumCents, 0n),
      ];
      expect([count, sumCents, lateCount, lateSumCents]).toEqual(sums as never);
    }
  }
};

const eventAt = (random: SeededRandom, occurredAtMs: number) => {
  const eventType = eventTypes[random.integer(0, 2)] ?? "purchase";
  const amountCents = random.integer(0, 100_000);
  const timestamp = new Date(occurredAtMs).toISOString();
  return draftOf(eventSubject(eventType), eventBody({ userId: "u", eventType, amountCents, timestamp, occurredAtMs }));
};

test("are the rows of now, over events, late events, rebuilds and any order of spans", async () => {
  const seed = Number(process.env["FAULTS_SEED"] ?? Math.floor(Math.random() * 2 ** 32));
  console.log(`FAULTS_SEED=${seed}`);
  const random = new SeededRandom(seed);
  await using rig = await startActorRig(actors);
  const { broker, clock } = rig;
  const hub = createEventHub();
  let compared = 0;
  const spanOf = (): Span => {
    const nowMs = Math.floor(clock.nowMs / minuteMs) * minuteMs;
    const fromMs = nowMs - random.integer(0, [5, 90, 1440, 10 * 1440][random.integer(0, 3)] ?? 1) * minuteMs;
    const toMs = random.integer(0, 3) === 0 ? fromMs + random.integer(1, 300) * minuteMs : nowMs + minuteMs;
    return { fromMs, toMs, eventType: random.integer(0, 3) === 0 ? eventTypes[random.integer(0, 2)] : undefined };
  };
  const compare = async (): Promise<void> => {
    const span = spanOf();
    const before = await plainly(broker, span);
    const blocks = await hub.metrics(broker, span);
    const after = await plainly(broker, span);
    proveTotals(blocks);
    // Where the actor made a step between, nothing can be said.
    if (!Bun.deepEquals(before, after)) return;
    expect(minutesOf(blocks)).toEqual(after);
    compared++;
  };
  for (let round = 0; round < 150; round++) {
    const kind = random.integer(0, 19);
    const spreadMs = kind < 12 ? 3 * minuteMs : 11 * dayMs;
    const drafts = Array.from({ length: random.integer(1, 20) }, () =>
      eventAt(random, clock.nowMs - random.integer(-2 * minuteMs, spreadMs)),
    );
    await publishAll(rig, drafts);
    if (kind === 19) await broker.rebuildActor(metricsActorName);
    if (random.integer(0, 2) > 0) await compare();
    if (random.integer(0, 1) === 0) {
      await rig.caughtUp("metrics");
      await compare();
    }
    // Far enough that what is kept is given up for being too long, too.
    clock.advance(random.integer(0, 40) === 0 ? 5 * dayMs : random.integer(0, 5 * minuteMs));
  }
  await rig.until("metrics", ({ lag, rebuilding }) => lag === 0 && !rebuilding);
  for (let each = 0; each < 20; each++) await compare();
  expect(compared).toBeGreaterThan(60);
});

test("an event is in the sums as soon as the actor has counted it, whoever asks how often", async () => {
  await using rig = await startActorRig(actors);
  const { broker, clock } = rig;
  const hub = createEventHub();
  const random = new SeededRandom(1);
  const toMs = Math.floor(clock.nowMs / minuteMs) * minuteMs + minuteMs;
  const span = { fromMs: toMs - dayMs, toMs };
  const countOf = (blocks: readonly MinuteBlock[]): number =>
    minutesOf(blocks).reduce((sum, { count, lateCount }) => sum + count + lateCount, 0);
  for (let count = 1; count <= 30; count++) {
    await publishAll(rig, [eventAt(random, clock.nowMs - random.integer(0, dayMs - minuteMs))]);
    // Some are under way while it is counted; they come to an end in any order.
    const early = Array.from({ length: 5 }, () => hub.metrics(broker, span));
    await rig.until("metrics", ({ lag }) => lag === 0);
    const answers = await Promise.all(Array.from({ length: 5 }, () => hub.metrics(broker, span)));
    expect(answers.map(countOf)).toEqual(answers.map(() => count));
    for (const answer of await Promise.all(early)) expect(countOf(answer)).toBeWithin(count - 1, count + 1);
    expect(countOf(await hub.metrics(broker, span))).toBe(count);
  }
  const blocks = await hub.metrics(broker, span);
  const again = await hub.metrics(broker, span);
  expect(again.every((block, index) => block === blocks[index])).toBe(true);
});

test("one hub over two stores mixes nothing", async () => {
  const hub = createEventHub();
  await using one = await startActorRig(actors);
  await using other = await startActorRig(actors);
  const random = new SeededRandom(2);
  const toMs = Math.floor(one.clock.nowMs / minuteMs) * minuteMs + minuteMs;
  const span = { fromMs: toMs - hourMs, toMs };
  for (let round = 0; round < 5; round++) {
    for (const rig of [one, other]) {
      await publishAll(rig, [eventAt(random, rig.clock.nowMs - random.integer(0, 30) * minuteMs)]);
      await rig.until("metrics", ({ lag }) => lag === 0);
      expect(minutesOf(await hub.metrics(rig.broker, span))).toEqual(await plainly(rig.broker, span));
    }
  }
});
