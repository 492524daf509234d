/**
 * A broker over SQLite and files in this process, with a clock that stands still until it is moved: for what happens by
 * time alone.
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Timers } from "../../actors/actor.ts";
import { compressed } from "../bodies/compressed/index.ts";
import type { BodyStore } from "../bodies/contract.ts";
import { openFileBodies } from "../bodies/files/index.ts";
import type { Delivery, SubscribeRequest, Subscription, SubscriptionSink } from "../broker/contract.ts";
import { type BrokerOptions, createBroker, type OwnedBroker } from "../broker/index.ts";
import { StreamError } from "../core/errors.ts";
import type { Draft, PublishOutcome, Receipt } from "../core/message.ts";
import { isScheduled } from "../core/message.ts";
import { parseFilter, parseSubject, type Subject } from "../core/subject.ts";
import type { MetadataStore } from "../metadata/contract.ts";
import { openSqliteMetadata } from "../metadata/sqlite/index.ts";

/** Stands still until it is moved. */
export class ManualClock implements Timers {
  nowMs: number;
  readonly #waiting = new Set<{ readonly dueMs: number; readonly run: () => void }>();

  constructor(startMs = 1_700_000_000_000) {
    this.nowMs = startMs;
  }

  after(ms: number, run: () => void): { cancel(): void } {
    const entry = { dueMs: this.nowMs + ms, run };
    this.#waiting.add(entry);
    return { cancel: () => void this.#waiting.delete(entry) };
  }

  /** Rings whatever is due by then. */
  advance(ms: number): void {
    this.nowMs += ms;
    for (const entry of [...this.#waiting]) {
      if (entry.dueMs <= this.nowMs && this.#waiting.delete(entry)) entry.run();
    }
  }
}

/** A broker and what it is made of. */
export interface BrokerRig extends AsyncDisposable {
  readonly broker: OwnedBroker;
  readonly metadata: MetadataStore;
  readonly bodies: BodyStore;
  readonly clock: ManualClock;
  /** Deletes, and waits until its objects are known to be emptier. */
  purge(subject: string, through: number): Promise<void>;
  /** Where the files store keeps its objects. */
  readonly folder: string;
}

/** What a test may change. */
export interface BrokerRigOptions {
  readonly compress?: boolean;
  wrapMetadata?(metadata: MetadataStore): MetadataStore;
  readonly bodyBytesMax?: number;
  readonly actors?: BrokerOptions["actors"];
}

/** Starts one; dispose of it. */
export const startBrokerRig = async (options: BrokerRigOptions = {}): Promise<BrokerRig> => {
  const { compress = false, bodyBytesMax = 4 * 1024 * 1024 } = options;
  const held = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "mts-broker-"));
  held.defer(() => rm(folder, { recursive: true, force: true }));
  const clock = new ManualClock();
  const sqlite = await openSqliteMetadata({ path: ":memory:", clock: () => clock.nowMs, dedupeWindowMs: 60_000 });
  held.defer(() => sqlite.close());
  held.defer(async () => {
    // Whatever happened, the books are right.
    const faults = await sqlite.audit();
    if (faults.length > 0) throw new Error(faults.join("\n"));
  });
  const files = await openFileBodies({ path: folder, nowMs: () => clock.nowMs });
  const bodies = compressed(files, { compress });
  held.defer(() => bodies.close());
  const metadata = options.wrapMetadata?.(sqlite) ?? sqlite;
  const broker = createBroker({
    ...{ metadata, bodies, bodyBytesMax, timers: clock, pointerLifetimeMs: 60_000 },
    clock: () => clock.nowMs,
    elapsedMs: () => clock.nowMs,
    ...(options.actors === undefined ? {} : { actors: options.actors }),
  });
  await broker.start();
  held.defer(() => broker.drain());
  const purge = async (subject: string, through: number): Promise<void> => {
    await broker.purge(parseSubject(subject), through);
    await sqlite.reclaimed();
  };
  return { broker, metadata: sqlite, bodies, clock, purge, folder, [Symbol.asyncDispose]: () => held.disposeAsync() };
};

/** Collects what a subscription is pushed. */
export class CollectingSink implements SubscriptionSink {
  readonly batchBytesMax = 1024 * 1024;
  readonly pushed: Delivery[] = [];
  #changed: () => void = () => undefined;

  writable(): boolean {
    return true;
  }
  messages(batch: readonly Delivery[]): void {
    this.pushed.push(...batch);
    this.#changed();
  }
  damaged(): void {
    throw new Error("A stored message is damaged.");
  }
  notify(): void {
    // Nobody asks for it.
  }
  ended(error: StreamError): void {
    throw error;
  }

  /** Resolves when so many have come. */
  async count(count: number): Promise<readonly Delivery[]> {
    while (this.pushed.length < count) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
    return this.pushed;
  }
}

/** Subscribes to messages, with all the credit there is. */
export const subscribeTo = (
  { broker }: BrokerRig,
  filter: string,
  sink: SubscriptionSink,
  more: Partial<SubscribeRequest> = {},
): Promise<Subscription> =>
  broker.subscribe(
    {
      ...{ filter: parseFilter(filter), from: { kind: "new" }, mode: "messages" },
      ...{ credit: Number.POSITIVE_INFINITY, ...more },
    },
    sink,
  );

/** A draft of text or bytes. */
export const draftOf = (subject: string, body: string | Uint8Array, more: Partial<Draft> = {}): Draft => ({
  subject: parseSubject(subject),
  headers: {},
  body: typeof body === "string" ? Buffer.from(body) : body,
  ...more,
});

/** The receipts of drafts that must all be committed. */
export const publishAll = async ({ broker }: BrokerRig, drafts: readonly Draft[]): Promise<readonly Receipt[]> =>
  (await broker.publish(drafts)).map(receiptOf);

const receiptOf = (outcome: PublishOutcome): Receipt => {
  if (outcome instanceof StreamError) throw outcome;
  if (isScheduled(outcome)) throw new Error("The message was put aside.");
  return outcome;
};

/** Everything that is stored of a subject. */
export const stored = async ({ broker }: BrokerRig, subject: string): Promise<readonly Delivery[]> =>
  (await broker.read(wholeOf(parseSubject(subject)))).messages;

/** A read of all there is. */
export const wholeOf = (subject: Subject) => ({
  ...{ subject, from: { kind: "first" } as const },
  ...{ limit: 10_000, bodyBytesMax: 8 * 1024 * 1024, waitMs: 0 },
});

/** Bodies as text. */
export const textOf = (messages: readonly Delivery[]): readonly string[] =>
  messages.map(({ body }) => Buffer.from(body).toString("utf8"));
