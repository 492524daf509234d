/**
 * The one deadline of a publish, over real stores that are held up: what is answered at the deadline, what is stored
 * and told afterwards.
 */
import { afterAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Timers } from "../../actors/actor.ts";
import type { BodyStore } from "../bodies/contract.ts";
import { openFileBodies } from "../bodies/files/index.ts";
import { StreamError } from "../core/errors.ts";
import { paceBytesPerMs, publishMsMax } from "../core/limits.ts";
import { type Draft, isScheduled, type PublishOutcome } from "../core/message.ts";
import { parseFilter, parseSubject } from "../core/subject.ts";
import type { MetadataStore } from "../metadata/contract.ts";
import { openSqliteMetadata } from "../metadata/sqlite/index.ts";
import { withReplaced } from "../testing/faults/seams.ts";
import type { Delivery, SubscriptionSink } from "./contract.ts";
import { createBroker, type OwnedBroker } from "./index.ts";

const subject = parseSubject("orders");
const startMs = 1_700_000_000_000;
/** An object of its own. */
const largeBytes = 300 * 1024;

/** A clock that stands still until it is moved. */
class Clock implements Timers {
  nowMs = 0;
  readonly #waiting = new Set<{ readonly dueMs: number; readonly run: () => void }>();

  after(ms: number, run: () => void): { cancel(): void } {
    const entry = { dueMs: this.nowMs + ms, run };
    this.#waiting.add(entry);
    return { cancel: () => this.#waiting.delete(entry) };
  }

  advance(ms: number): void {
    this.nowMs += ms;
    for (const entry of [...this.#waiting]) {
      if (entry.dueMs > this.nowMs || !this.#waiting.delete(entry)) continue;
      entry.run();
    }
  }
}

/** Holds up whoever passes, until it is opened. */
class Gate {
  readonly #arrived = Promise.withResolvers<undefined>();
  readonly #opened = Promise.withResolvers<undefined>();

  /** Resolves when somebody stands before it. */
  get arrived(): Promise<unknown> {
    return this.#arrived.promise;
  }

  open(): void {
    this.#opened.resolve(undefined);
  }

  async pass(): Promise<void> {
    this.#arrived.resolve(undefined);
    await this.#opened.promise;
  }
}

interface Rig {
  readonly broker: OwnedBroker;
  readonly clock: Clock;
  readonly bodies: Gate;
  readonly commit: Gate;
}

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());

const start = async (): Promise<Rig> => {
  const folder = await mkdtemp(join(tmpdir(), "mts-deadlines-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const metadata = await openSqliteMetadata({ path: ":memory:", clock: () => startMs, dedupeWindowMs: 1000 });
  const bodies = await openFileBodies({ path: folder });
  stack.defer(() => metadata.close());
  stack.defer(() => bodies.close());
  const [clock, bodiesGate, commitGate] = [new Clock(), new Gate(), new Gate()];
  const broker = createBroker({
    metadata: withReplaced<MetadataStore>(metadata, {
      commit: async (entries) => {
        await commitGate.pass();
        return metadata.commit(entries);
      },
    }),
    bodies: withReplaced<BodyStore>(bodies, {
      writeSegment: async (parts) => {
        await bodiesGate.pass();
        return bodies.writeSegment(parts);
      },
      writeObject: async (body, signal) => {
        await Promise.race([bodiesGate.pass(), aborted(signal)]);
        return bodies.writeObject(body, signal);
      },
    }),
    bodyBytesMax: 1024 * 1024,
    timers: clock,
    clock: () => startMs,
    elapsedMs: () => clock.nowMs,
  });
  return { broker, clock, bodies: bodiesGate, commit: commitGate };
};

/** Rejects with the reason of the abort. */
const aborted = (signal: AbortSignal | undefined): Promise<never> =>
  new Promise((_, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });

const draftOf = (text: string | Uint8Array): Draft => ({
  subject,
  headers: {},
  body: typeof text === "string" ? Buffer.from(text) : text,
});

/** Codes of refusals, sequences of receipts. */
const shortOf = (outcomes: readonly PublishOutcome[]): readonly (string | number)[] =>
  outcomes.map((outcome) => {
    if (outcome instanceof StreamError) return outcome.code;
    return isScheduled(outcome) ? "scheduled" : outcome.sequence;
  });

const stored = async ({ broker }: Rig): Promise<readonly string[]> => {
  const request = { subject, from: { kind: "first" }, limit: 10, bodyBytesMax: 1024 * 1024, waitMs: 0 } as const;
  const { messages } = await broker.read(request);
  return messages.map(({ sequence, body }) => `${sequence} ${Buffer.from(body).toString("latin1", 0, 20)}`);
};

/** Collects what a subscription is pushed. */
class Sink implements SubscriptionSink {
  readonly batchBytesMax = 1024 * 1024;
  readonly pushed: string[] = [];
  #changed: () => void = () => undefined;

  writable(): boolean {
    return true;
  }

  messages(batch: readonly Delivery[]): void {
    for (const { sequence, body } of batch) this.pushed.push(`${sequence} ${Buffer.from(body).toString()}`);
    this.#changed();
  }

  async count(messages: number): Promise<readonly string[]> {
    while (this.pushed.length < messages) await new Promise<void>((resolve) => (this.#changed = resolve));
    return this.pushed;
  }

  damaged(): void {
    throw new Error("nothing is damaged here");
  }

  notify(): void {
    throw new Error("no notifications were asked for");
  }

  ended(error: StreamError): void {
    throw error;
  }
}

test("a commit that does not end is answered as unknown, once, and what comes of it is told in order", async () => {
  const rig = await start();
  const { broker, clock, bodies, commit } = rig;
  const sink = new Sink();
  await broker.subscribe({ filter: parseFilter("orders"), from: { kind: "new" }, mode: "messages", credit: 10 }, sink);
  bodies.open();
  const first = broker.publish([draftOf("one")]);
  await commit.arrived;
  clock.advance(publishMsMax - 1);
  const second = broker.publish([draftOf("two")]);
  clock.advance(1);
  expect(shortOf(await first)).toEqual(["outcome_unknown"]);
  commit.open();
  expect(shortOf(await second)).toEqual([2]);
  expect(await sink.count(2)).toEqual(["1 one", "2 two"]);
  expect(await stored(rig)).toEqual(["1 one", "2 two"]);
  expect(broker.gauges().inFlightBytes).toBe(0);
});

test.each([
  ["a body", "one", publishMsMax],
  ["a large body", new Uint8Array(largeBytes), publishMsMax + largeBytes / paceBytesPerMs],
])("%s that is not written in time is given up and never stored", async (_, body, deadlineMs) => {
  const rig = await start();
  const { broker, clock, bodies, commit } = rig;
  const first = broker.publish([draftOf(body)]);
  await bodies.arrived;
  clock.advance(deadlineMs - 1);
  const second = broker.publish([draftOf("two")]);
  clock.advance(1);
  expect(shortOf(await first)).toEqual(["unavailable"]);
  commit.open();
  bodies.open();
  expect(shortOf(await second)).toEqual([1]);
  expect(await stored(rig)).toEqual(["1 two"]);
  expect(broker.gauges().inFlightBytes).toBe(0);
});

test("what a body waited for before its publish counts", async () => {
  const rig = await start();
  const { broker, clock, bodies, commit } = rig;
  const source = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from("stored before");
  };
  bodies.open();
  const body = await broker.storeBody(source());
  clock.advance(publishMsMax - 1);
  const published = broker.publish([{ subject, headers: {}, body }]);
  await commit.arrived;
  clock.advance(1);
  expect(shortOf(await published)).toEqual(["outcome_unknown"]);
  commit.open();
  expect(shortOf(await broker.publish([draftOf("two")]))).toEqual([2]);
});

test("the time that a source takes does not count", async () => {
  const { broker, clock, bodies } = await start();
  const ended = Promise.withResolvers<undefined>();
  const source = async function* (): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(Buffer.from("one"));
    ended.resolve(undefined);
  };
  const storing = broker.storeBody(source()).catch((error: unknown) => error);
  await bodies.arrived;
  clock.advance(publishMsMax * 10);
  bodies.open();
  await ended.promise;
  expect(await storing).toMatchObject({ length: 3 });
});
