import { describe, expect, test } from "bun:test";
import { BodyPool } from "./bodies.ts";
import { shareOf } from "./fleet.ts";
import { Lane, PublishTally } from "./lane.ts";
import { Latency } from "./latency.ts";
import { firstNumber } from "./plan.ts";

const newLane = (): Lane => new Lane(2, new BodyPool(1, 1, 100, 100), new PublishTally(new Latency()));

describe("without a pace", () => {
  test("a batch may leave at any time, a smaller one at the end", () => {
    const lane = newLane();
    lane.limit = 250;
    expect(lane.due(100, 0)).toBe(100);
    lane.next = 200;
    expect(lane.due(100, 0)).toBe(50);
    lane.next = 250;
    expect(lane.due(100, 0)).toBe(0);
    expect(lane.finished).toBe(true);
  });

  test("nothing leaves once it is stopped", () => {
    const lane = newLane();
    lane.stopped = true;
    expect(lane.due(1, 0)).toBe(0);
  });
});

describe("with a pace", () => {
  test("messages leave when they are meant to, counted from where the lane is", () => {
    const lane = newLane();
    lane.next = 10;
    lane.pace(1000, 50);
    expect(lane.due(1, 999)).toBe(0);
    expect(lane.due(1, 1000)).toBe(1);
    lane.next = 12;
    expect(lane.due(1, 1099)).toBe(0);
    expect(lane.due(1, 1100)).toBe(1);
  });

  test("the next request is known beforehand", () => {
    const lane = newLane();
    lane.limit = 12;
    lane.pace(0, 10);
    expect(lane.nextDueUs(10)).toBe(90);
    lane.next = 10;
    expect(lane.nextDueUs(10)).toBe(110);
    lane.next = 12;
    expect(lane.nextDueUs(10)).toBe(Infinity);
  });

  test("a batch leaves when the last of it is due", () => {
    const lane = newLane();
    lane.pace(0, 10);
    expect(lane.due(10, 89)).toBe(0);
    expect(lane.due(10, 90)).toBe(10);
  });

  test("latency counts from the moment a message was meant to leave, however late it left", () => {
    const { tally } = newLane();
    const lane = new Lane(0, new BodyPool(1, 1, 100, 100), tally);
    tally.measureFromUs = 0;
    lane.pace(0, 1000);
    lane.next = 1;
    // Message 0 was meant for 0 and sent at 500,000.
    lane.acked(0, 1, lane.intendedUs(0, 500_000), 600_000);
    expect(tally.latency.summary()?.max).toBeGreaterThanOrEqual(600_000);
  });
});

test("only what was sent since the measuring began is measured", () => {
  const lane = newLane();
  lane.tally.measureFromUs = 100;
  lane.acked(0, 1, 99, 150);
  lane.acked(1, 2, 100, 150);
  expect(lane.tally).toMatchObject({ ackedEver: 2, acked: 1, ackedBytes: 100, lastAckUs: 150 });
});

test("what failed is listed and counted by code", () => {
  const lane = newLane();
  lane.next = 10;
  lane.notAcked(3, 2, "overloaded", "too much");
  lane.notAcked(7, 1, "no_answer");
  expect(lane.result()).toMatchObject({ lane: 2, sent: 10, notAcked: [3, 4, 7] });
  expect([...lane.tally.errors]).toEqual([
    ["overloaded", 2],
    ["no_answer", 1],
  ]);
  expect(lane.tally.detail).toBe("too much");
});

test("a count is shared out to the last message", () => {
  for (const count of [0, 1, 7, 64, 1000]) {
    const shares = Array.from({ length: 7 }, (_, lane) => shareOf(count, lane, 7));
    expect(shares.reduce((sum, share) => sum + share, 0)).toBe(count);
    expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
  }
});

test("the first number of a lane that goes to a subject", () => {
  for (let lane = 0; lane < 10; lane++) {
    for (let subject = 0; subject < 4; subject++) {
      const number = firstNumber(lane, subject, 4);
      expect(number).toBeLessThan(4);
      expect((number + lane) % 4).toBe(subject);
    }
  }
});

test("histograms of several processes add up", () => {
  const [one, other] = [new Latency(), new Latency()];
  for (let us = 1; us <= 1000; us++) (us % 2 === 0 ? one : other).record(us);
  const sum = Latency.decode(one.encode());
  sum.add(Latency.decode(other.encode()));
  expect(sum.summary()).toMatchObject({ p50: 500, p90: 900, p99: 990, max: 1000 });
  expect(Latency.decode(new Latency().encode()).summary()).toBeUndefined();
});
