import { expect, test } from "bun:test";
import { StreamError } from "../../core/errors.ts";
import { BodyBudget } from "./body-budget.ts";
import { systemClock } from "./tails.ts";

/** More than the kernel buffers of one connection hold. */
const bodyBytes = 32 * 1024 * 1024;

/** Resolves when it holds; otherwise the test's own time limit ends it. */
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await Bun.sleep(1);
};

/** A client that sends a request and takes nothing of the answer. */
const requestWithoutReading = (url: URL) =>
  Bun.connect({
    hostname: url.hostname,
    port: Number(url.port),
    socket: {
      open: (socket) => {
        socket.pause();
        socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      },
      data: () => undefined,
    },
  });

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

test("over real sockets: a body that its client does not take holds its bytes until it is taken", async () => {
  const budget: BodyBudget = new BodyBudget(systemClock, (request) => server.requestIP(request) === null, {
    bytesMax: bodyBytes,
    waitersMax: 1,
    waitMsMax: 60_000,
  });
  const server = Bun.serve({
    port: 0,
    fetch: async (request) => {
      await budget.take(request, bodyBytes);
      return new Response(new Uint8Array(bodyBytes));
    },
  });
  try {
    const slow = await requestWithoutReading(server.url);
    await until(() => budget.bytes === bodyBytes);
    let answered = false;
    const second = fetch(server.url).then(async (response) => {
      answered = true;
      return (await response.bytes()).length;
    });
    await until(() => budget.waiting === 1);
    expect([answered, budget.bytes]).toEqual([false, bodyBytes]);
    slow.terminate();
    expect(await second).toBe(bodyBytes);
    await until(() => budget.bytes === 0);
  } finally {
    await server.stop(true);
  }
});
