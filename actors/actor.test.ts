import { describe, expect, test } from "bun:test";
import { StreamError } from "../src/core/errors.ts";
import { Actor, type ActorOptions, type Behaviour, type Timers } from "./actor.ts";
import { Mailbox } from "./mailbox.ts";
import { ActorRegistry } from "./registry.ts";

/** Timers that fire when the test says so. */
class ManualTimers implements Timers {
  readonly waiting: { readonly ms: number; readonly run: () => void }[] = [];

  after(ms: number, run: () => void): { cancel(): void } {
    const entry = { ms, run };
    this.waiting.push(entry);
    return {
      cancel: () => {
        const index = this.waiting.indexOf(entry);
        if (index !== -1) this.waiting.splice(index, 1);
      },
    };
  }

  fireAll(): void {
    for (const { run } of this.waiting.splice(0)) run();
  }
}

const turn = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const optionsWith = (timers: Timers, overrides: Partial<ActorOptions> = {}): ActorOptions => ({
  mailbox: { countMax: 100, bytesMax: 1000 },
  batchCountMax: 10,
  restartDelayMs: 10,
  restartDelayMsMax: 40,
  timers,
  ...overrides,
});

const codeOf = (run: () => void): string | undefined => {
  try {
    run();
    return undefined;
  } catch (error) {
    return error instanceof StreamError ? error.code : "not a StreamError";
  }
};

describe("Mailbox", () => {
  test("refuses past its count and past its bytes, and takes a lone message of any size", () => {
    const mailbox = new Mailbox<number>({ countMax: 3, bytesMax: 100 });
    expect(mailbox.offer(1, 500)).toBe(true);
    expect(mailbox.offer(2, 1)).toBe(false);
    expect(mailbox.take(10)).toEqual([1]);
    expect([mailbox.offer(1, 40), mailbox.offer(2, 40), mailbox.offer(3, 40)]).toEqual([true, true, false]);
    expect([mailbox.offer(3, 20), mailbox.offer(4, 0)]).toEqual([true, false]);
    expect(mailbox.take(2)).toEqual([1, 2]);
    expect([mailbox.count, mailbox.bytes]).toEqual([1, 20]);
  });

  test("keeps the order and its books over many partial takes", () => {
    const mailbox = new Mailbox<number>({ countMax: 10_000, bytesMax: 1_000_000 });
    const taken: number[] = [];
    let next = 0;
    for (let round = 0; round < 500; round++) {
      for (let i = 0; i < 11; i++) mailbox.offer(next++, 3);
      taken.push(...mailbox.take(7));
    }
    taken.push(...mailbox.take(Number.MAX_SAFE_INTEGER));
    expect(taken).toEqual([...Array(next).keys()]);
    expect([mailbox.count, mailbox.bytes]).toEqual([0, 0]);
  });
});

describe("Actor", () => {
  test("starts once before the first message and takes what was told in one turn as one batch", async () => {
    const events: string[] = [];
    const behaviour: Behaviour<number> = {
      start: async () => {
        await turn();
        events.push("start");
      },
      receive: (batch) => void events.push(batch.join()),
      refuse: () => undefined,
    };
    const actor = new Actor(() => behaviour, optionsWith(new ManualTimers()));
    for (const message of [1, 2, 3]) actor.tell(message, 1);
    await turn();
    await turn();
    actor.tell(4, 1);
    await turn();
    expect(events).toEqual(["start", "1,2,3", "4"]);
  });

  test("never runs its behaviour twice at once", async () => {
    let running = 0;
    let runningMax = 0;
    const seen: number[] = [];
    const behaviour: Behaviour<number> = {
      receive: async (batch) => {
        runningMax = Math.max(runningMax, ++running);
        await turn();
        seen.push(...batch);
        running--;
      },
      refuse: () => undefined,
    };
    const actor = new Actor(() => behaviour, optionsWith(new ManualTimers(), { batchCountMax: 2 }));
    for (let i = 0; i < 9; i++) actor.tell(i, 1);
    while (seen.length < 9) await turn();
    expect(seen).toEqual([...Array(9).keys()]);
    expect(runningMax).toBe(1);
  });

  test("a failure refuses the batch in hand only, restarts with back-off and forgets the state", async () => {
    const timers = new ManualTimers();
    const refused: number[] = [];
    const handled: string[] = [];
    const failures: number[] = [];
    let made = 0;
    const make = (): Behaviour<number> => {
      const id = ++made;
      return {
        receive: (batch) => {
          if (batch.includes(13)) throw new Error("unlucky");
          handled.push(`${id}:${batch.join()}`);
        },
        refuse: (message, error) => {
          expect(error.code).toBe("internal");
          refused.push(message);
        },
      };
    };
    const options = optionsWith(timers, { batchCountMax: 1, onFailure: (_, restarts) => failures.push(restarts) });
    const actor = new Actor(make, options);
    for (const message of [1, 13, 2]) actor.tell(message, 1);
    await turn();
    expect(handled).toEqual(["1:1"]);
    expect(refused).toEqual([13]);
    expect(timers.waiting.map(({ ms }) => ms)).toEqual([10]);
    timers.fireAll();
    await turn();
    expect(handled).toEqual(["1:1", "2:2"]);
    for (let i = 0; i < 4; i++) {
      actor.tell(13, 1);
      await turn();
      const [pause] = timers.waiting.map(({ ms }) => ms);
      expect(pause).toBe(Math.min(10 * 2 ** i, 40));
      timers.fireAll();
      await turn();
    }
    expect(failures).toEqual([1, 2, 3, 4, 5]);
    expect(actor.restarts).toBe(5);
  });

  test("a full mailbox answers overloaded, a stopped actor shutting_down and refuses what waits", async () => {
    const refused: string[] = [];
    let letGo = (): void => undefined;
    const behaviour: Behaviour<string> = {
      receive: () => new Promise<void>((resolve) => (letGo = resolve)),
      refuse: (message, error) => void refused.push(`${message}:${error.code}`),
    };
    const actor = new Actor(
      () => behaviour,
      optionsWith(new ManualTimers(), { batchCountMax: 1, mailbox: { countMax: 2, bytesMax: 10 } }),
    );
    actor.tell("in hand", 1);
    await turn();
    actor.tell("waits", 1);
    actor.tell("waits too", 1);
    expect(codeOf(() => actor.tell("one too many", 1))).toBe("overloaded");
    expect(actor.idle).toBe(false);
    const stopped = actor.stop();
    letGo();
    await stopped;
    expect(refused).toEqual(["waits:shutting_down", "waits too:shutting_down"]);
    expect(codeOf(() => actor.tell("late", 1))).toBe("shutting_down");
  });
});

describe("ActorRegistry", () => {
  test("puts idle actors away and makes them anew", async () => {
    const timers = new ManualTimers();
    let nowMs = 0;
    const log: string[] = [];
    const make = (key: string): Behaviour<number> => ({
      receive: (batch) => void log.push(`${key}:${batch.join()}`),
      refuse: () => undefined,
      stop: () => void log.push(`${key} stopped`),
    });
    const registry = new ActorRegistry(make, optionsWith(timers), { idleMs: 100, timers, clock: () => nowMs });
    registry.tell("a", 1, 1);
    await turn();
    nowMs = 50;
    registry.tell("b", 2, 1);
    await turn();
    nowMs = 120;
    timers.fireAll();
    expect(log).toEqual(["a:1", "b:2", "a stopped"]);
    expect(registry.size).toBe(1);
    registry.tell("a", 3, 1);
    await turn();
    expect(log.at(-1)).toBe("a:3");
    await registry.stop();
    expect(registry.size).toBe(0);
    expect(codeOf(() => registry.tell("a", 4, 1))).toBe("shutting_down");
  });
});
