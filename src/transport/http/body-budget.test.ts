import { expect, test } from "bun:test";
import { StreamError } from "../../core/errors.ts";
import { BodyBudget } from "./body-budget.ts";

/** A budget of 100 bytes for two waiters, whose clock and requests are moved by hand. */
const setUp = () => {
  const finished = new Set<Request>();
  let sweep: (() => void) | undefined;
  const clock = {
    every: (_: number, run: () => void) => {
      sweep = run;
      return () => {
        sweep = undefined;
      };
    },
  };
  const limits = { bytesMax: 100, waitersMax: 2, waitMsMax: 200 };
  const budget = new BodyBudget(clock, (request) => finished.has(request), limits);
  const take = (bytes: number) => {
    const request = new Request("http://x/");
    let state: string = "waits";
    const settled = budget.take(request, bytes).then(
      () => {
        state = "held";
      },
      (error: unknown) => {
        state = error instanceof StreamError ? error.code : String(error);
      },
    );
    return { finish: () => finished.add(request), settled, state: () => state };
  };
  return { budget, take, tick: () => sweep?.(), running: () => sweep !== undefined };
};

test("gives out what there is and makes the next one wait until an answer is gone", async () => {
  const { budget, take, tick, running } = setUp();
  const [first, second] = [take(60), take(40)];
  await Promise.all([first.settled, second.settled]);
  expect([first.state(), second.state(), budget.bytes]).toEqual(["held", "held", 100]);
  const third = take(50);
  tick();
  expect(third.state()).toBe("waits");
  first.finish();
  tick();
  await third.settled;
  expect([third.state(), budget.bytes]).toEqual(["held", 90]);
  second.finish();
  third.finish();
  tick();
  expect([budget.bytes, running()]).toEqual([0, false]);
});

test("keeps the order: a small body does not pass a large one that waits", async () => {
  const { take, tick } = setUp();
  const first = take(90);
  const [large, small] = [take(50), take(5)];
  tick();
  expect([large.state(), small.state()]).toEqual(["waits", "waits"]);
  first.finish();
  tick();
  await Promise.all([large.settled, small.settled]);
  expect([large.state(), small.state()]).toEqual(["held", "held"]);
});

test("a body larger than all of it goes out alone", async () => {
  const { budget, take, tick } = setUp();
  const huge = take(1000);
  await huge.settled;
  const next = take(1);
  tick();
  expect([next.state(), budget.bytes]).toEqual(["waits", 1000]);
  huge.finish();
  tick();
  await next.settled;
  expect(next.state()).toBe("held");
});

test("answers overloaded when too many wait, when one waits too long, and to clients that have gone", async () => {
  const { budget, take, tick } = setUp();
  const first = take(100);
  await first.settled;
  const [gone, patient] = [take(1), take(1)];
  const tooMany = take(1);
  await tooMany.settled;
  expect(tooMany.state()).toBe("overloaded");
  gone.finish();
  tick();
  await gone.settled;
  expect([gone.state(), patient.state()]).toEqual(["overloaded", "waits"]);
  for (let ticks = 0; ticks < 20; ticks++) tick();
  await patient.settled;
  expect([patient.state(), budget.bytes]).toEqual(["overloaded", 100]);
});
