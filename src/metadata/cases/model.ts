/**
 * Random steps, the same for each seed, against a model that is too simple to be wrong: which messages are stored is a
 * set, an explicit consumer is what is known of each message (nothing, leased until, settled), and ends, sums and both
 * positions follow from that. Beside it an `ack: all` consumer is a recipient, too.
 * @module
 */
import { expect } from "bun:test";
import type { Head, Sequence } from "../../core/message.ts";
import { keepEverything, type RetentionPolicy, samePolicy } from "../../core/policy.ts";
import type { MetadataStore } from "../contract.ts";
import {
  ack,
  type Cases,
  configOf,
  deliveriesOf,
  entryOf,
  everything,
  filterOf,
  makeWorker,
  nack,
  nameOf,
  orders,
  pull,
  stateOf,
  storedIn,
  upTo,
  worker,
} from "./kit.ts";

const stepsPerSeed = 400;
const other = nameOf("other");
const ackWaitMs = 1000;

interface Lease {
  deliveries: number;
  dueAtMs: number;
}

interface Limits {
  readonly maxDeliver: number;
  readonly maxAckPending: number;
}

/** Whole numbers below a bound; xorshift, so that a seed names its steps. */
const randomOf = (seed: number) => {
  let state = seed;
  return (below: number): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
};

interface Stored {
  readonly timestampMs: number;
  readonly length: number;
  /** Infinity: never. */
  readonly expiresAtMs: number;
}

class Model {
  readonly limits: Limits;
  nowMs = 0;
  last: Sequence = 0;
  /** What the other consumer has acknowledged. */
  otherThrough: Sequence = 0;
  policy: RetentionPolicy = keepEverything;
  readonly stored = new Map<Sequence, Stored>();
  readonly settled = new Set<Sequence>();
  readonly leases = new Map<Sequence, Lease>();

  constructor(limits: Limits) {
    this.limits = limits;
  }

  #usedUp({ deliveries }: Lease): boolean {
    return this.limits.maxDeliver > 0 && deliveries >= this.limits.maxDeliver;
  }

  get head(): Head {
    return { firstSequence: [...this.stored.keys()][0] ?? this.last + 1, lastSequence: this.last };
  }

  get amount(): { readonly messages: number; readonly bytes: number } {
    return {
      messages: this.stored.size,
      bytes: [...this.stored.values()].reduce((sum, { length }) => sum + length, 0),
    };
  }

  settle(sequence: Sequence): boolean {
    if (sequence < 1 || this.settled.has(sequence)) return false;
    this.leases.delete(sequence);
    this.settled.add(sequence);
    return true;
  }

  publish(messages: readonly { readonly length: number; readonly ttlMs?: number | undefined }[]): void {
    for (const { length, ttlMs = Infinity } of messages) {
      this.stored.set(++this.last, { timestampMs: this.nowMs, length, expiresAtMs: this.nowMs + ttlMs });
    }
    this.trim();
  }

  /** Deletes messages; answers how many that were. */
  #delete(isGone: (sequence: Sequence, message: Stored) => boolean): number {
    const gone = [...this.stored].filter(([sequence, message]) => isGone(sequence, message));
    for (const [sequence] of gone) {
      this.stored.delete(sequence);
      this.settle(sequence);
    }
    return gone.length;
  }

  /** Deletes what the policy does not keep, and what is too old; answers how many that were. */
  trim(): number {
    const old = this.age();
    const { maxMessages } = this.policy;
    const tooMany = maxMessages === null ? 0 : Math.max(0, this.stored.size - maxMessages);
    const going = new Set([...this.stored.keys()].slice(0, tooMany));
    return old + this.#delete((sequence) => going.has(sequence));
  }

  /** Deletes what is too old, or has outlived its time. */
  age(): number {
    const maxAgeMs = this.policy.maxAgeMs ?? Infinity;
    return this.#delete(
      (_, { timestampMs, expiresAtMs }) => Math.min(timestampMs + maxAgeMs, expiresAtMs) <= this.nowMs,
    );
  }

  /** Deletes what the recipients have acknowledged. */
  release(): number {
    const { recipients } = this.policy;
    if (recipients === null) return 0;
    const least = typeof recipients === "number" ? recipients : recipients.length;
    return this.#delete((sequence) => {
      const acks = [this.settled.has(sequence), sequence <= this.otherThrough];
      return acks.filter(Boolean).length >= least;
    });
  }

  expire(): void {
    for (const [sequence, lease] of this.leases) {
      if (lease.dueAtMs <= this.nowMs && this.#usedUp(lease)) this.settle(sequence);
    }
  }

  purge(through: Sequence): number {
    return this.#delete((sequence) => sequence <= through);
  }

  ack(sequences: readonly Sequence[]): boolean {
    return sequences.map((sequence) => this.settle(sequence)).includes(true);
  }

  nack(sequences: readonly Sequence[], delayMs: number): number {
    let redeliver = 0;
    for (const sequence of new Set(sequences)) {
      const lease = this.leases.get(sequence);
      if (lease === undefined) continue;
      lease.dueAtMs = this.nowMs + delayMs;
      if (this.#usedUp(lease)) this.settle(sequence);
      else redeliver++;
    }
    return redeliver;
  }

  /** What a pull shows. */
  plan(limit: number, autoAck: boolean): [Sequence, number][] {
    const due = upTo(this.last).flatMap((sequence): [Sequence, number][] => {
      const lease = this.leases.get(sequence);
      return lease !== undefined && lease.dueAtMs <= this.nowMs ? [[sequence, lease.deliveries + 1]] : [];
    });
    const room = autoAck ? limit : Math.max(0, this.limits.maxAckPending - this.leases.size);
    const fresh = this.#fresh().slice(0, room);
    return [...due, ...fresh.map((sequence): [Sequence, number] => [sequence, 1])].slice(0, limit);
  }

  pull(limit: number, autoAck: boolean): [Sequence, number][] {
    const plan = this.plan(limit, autoAck);
    for (const [sequence, deliveries] of plan) {
      if (autoAck) this.settle(sequence);
      else this.leases.set(sequence, { deliveries, dueAtMs: this.nowMs + ackWaitMs });
    }
    return plan;
  }

  #fresh(): Sequence[] {
    return upTo(this.last).filter((sequence) => !this.settled.has(sequence) && !this.leases.has(sequence));
  }

  state() {
    const open = upTo(this.last).filter((sequence) => !this.settled.has(sequence));
    return {
      ackedThrough: (open[0] ?? this.last + 1) - 1,
      deliveredThrough: (this.#fresh()[0] ?? this.last + 1) - 1,
      pending: open.length,
      ackPending: this.leases.size,
      redelivered: [...this.leases.values()].filter((lease) => lease.deliveries > 1).length,
    };
  }
}

/** Other limits or none, or the sweep for those that there are. */
const changePolicy = async (store: MetadataStore, model: Model, random: (below: number) => number): Promise<void> => {
  const sweep = async (): Promise<void> => {
    // What its recipients have acknowledged does not count within the limits.
    const expired = model.age() + model.release() + model.trim();
    expect(await store.expire(undefined, 10)).toEqual({ expired, next: undefined });
  };
  if (random(3) === 0) return sweep();
  const maxAgeMs = random(2) === 0 ? null : 1 + random(3000);
  const maxMessages = random(2) === 0 ? null : 1 + random(12);
  const recipients = [null, null, [other, worker], 1, 2][random(5)] ?? null;
  const retain = recipients === null ? "limits" : "acked";
  const filter = filterOf("orders.>");
  model.policy = { ...keepEverything, maxAgeMs, maxMessages, retain, recipients };
  if (samePolicy(model.policy, keepEverything)) await store.deletePolicy(filter);
  else await store.putPolicy(filter, model.policy);
  // What is acknowledged already goes with the next sweep.
  if (recipients !== null) await sweep();
};

/** What is too old is not shown, before anything was written that could have removed it. */
const peekShows = async (store: MetadataStore, model: Model): Promise<void> => {
  model.age();
  model.expire();
  expect(await store.heads([orders])).toEqual([model.head]);
  expect(await storedIn(store)).toEqual([...model.stored.keys()]);
  const peeked = await store.peek(orders, worker, { ...everything, limit: 5 });
  expect(deliveriesOf(peeked)).toEqual(model.plan(5, false));
  expect(peeked.ackedThrough).toBe(model.state().ackedThrough);
  expect(peeked.nextSequence).toBe(model.state().deliveredThrough + 1);
};

/** One random step on both; what they answer must be the same. */
const step = async (
  store: MetadataStore,
  model: Model,
  random: (below: number) => number,
  advance: (ms: number) => Promise<void>,
): Promise<void> => {
  const some = upTo(random(4)).map(() => 1 + random(Math.max(1, model.last)));
  const sequences = some.filter((sequence) => sequence <= model.last);
  model.expire();
  switch (random(12)) {
    case 0:
    case 1: {
      const messages = upTo(1 + random(6)).map(() => {
        const length = random(20);
        return random(2) === 0 ? { length } : { length, ttlMs: 1 + random(3000) };
      });
      await store.commit(messages.map((message) => entryOf(orders, message)));
      model.publish(messages);
      return;
    }
    case 11: {
      const through = Math.min(model.last, model.otherThrough + random(6));
      await store.ack([{ subject: orders, consumer: other, through }]);
      model.otherThrough = through;
      return;
    }
    case 2: {
      const ms = random(700);
      await advance(ms);
      model.nowMs += ms;
      await peekShows(store, model);
      return;
    }
    case 10: {
      await changePolicy(store, model, random);
      await peekShows(store, model);
      return;
    }
    case 3: {
      if (random(3) > 0) return;
      const through = random(model.last + 3);
      expect(await store.purge(orders, through)).toEqual({ deleted: model.purge(through) });
      return;
    }
    case 4: {
      const through = Math.min(model.last, model.state().ackedThrough + random(4));
      const moved = model.ack(upTo(through));
      expect(await ack(store, through)).toMatchObject({ moved, ackedThrough: model.state().ackedThrough });
      return;
    }
    case 5: {
      const moved = model.ack(sequences);
      expect(await ack(store, sequences)).toMatchObject({ moved, ackedThrough: model.state().ackedThrough });
      return;
    }
    case 6: {
      const delayMs = random(1500);
      expect(await nack(store, sequences, delayMs)).toEqual({
        status: "nacked",
        redeliver: model.nack(sequences, delayMs),
      });
      return;
    }
    default: {
      const limit = 1 + random(6);
      const autoAck = random(4) === 0;
      if (!autoAck) {
        const peeked = await store.peek(orders, worker, { ...everything, limit });
        expect(deliveriesOf(peeked)).toEqual(model.plan(limit, false));
        expect(peeked.ackedThrough).toBe(model.state().ackedThrough);
      }
      const page = await pull(store, { limit, autoAck });
      expect(deliveriesOf(page)).toEqual(model.pull(limit, autoAck));
      const { ackedThrough, deliveredThrough, ackPending } = model.state();
      expect(page.ackedThrough).toBe(ackedThrough);
      expect(page.nextSequence).toBe(deliveredThrough + 1);
      const isFull = ackPending >= model.limits.maxAckPending;
      expect(page.saturated).toBe(!autoAck && isFull && deliveredThrough < model.last);
    }
  }
};

export const modelCases = ({ timed }: Cases): void => {
  const limits: readonly Limits[] = [
    { maxDeliver: 0, maxAckPending: 1000 },
    { maxDeliver: 2, maxAckPending: 5 },
    { maxDeliver: 1, maxAckPending: 3 },
    { maxDeliver: 3, maxAckPending: 1 },
  ];
  for (const [index, limit] of limits.entries()) {
    timed(`explicit consumer, ${JSON.stringify(limit)}`, async (harness, advance) => {
      const random = randomOf(7919 * (index + 1));
      const model = new Model(limit);
      await makeWorker(harness.store, { ack: "explicit", ackWaitMs, ...limit });
      await harness.store.putConsumer(orders, other, configOf());
      for (let count = 0; count < stepsPerSeed; count++) {
        await step(harness.store, model, random, advance);
        // An acknowledgement releases what it completes, and so does giving up, which looking at the state does at last.
        model.expire();
        model.release();
        expect(await stateOf(harness.store)).toMatchObject(model.state());
        expect(await harness.store.heads([orders])).toEqual([model.head]);
        expect((await harness.store.subject(orders)) ?? { messages: 0, bytes: 0 }).toMatchObject(model.amount);
        if (count % 50 === 49) await harness.reopen();
      }
    });
  }
};
