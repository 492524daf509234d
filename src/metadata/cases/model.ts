/**
 * Random steps, the same for each seed, against a model that is too simple to be wrong: an explicit consumer is what
 * is known of each message (nothing, leased until, settled), and both positions follow from that.
 * @module
 */
import { expect } from "bun:test";
import type { Sequence } from "../../core/message.ts";
import { keepEverything, type RetentionPolicy } from "../../core/policy.ts";
import type { MetadataStore } from "../contract.ts";
import {
  ack,
  type Cases,
  deliveriesOf,
  everything,
  filterOf,
  makeWorker,
  nack,
  orders,
  publish,
  pull,
  stateOf,
  upTo,
  worker,
} from "./kit.ts";

const stepsPerSeed = 250;
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

class Model {
  readonly limits: Limits;
  nowMs = 0;
  last: Sequence = 0;
  purged: Sequence = 0;
  policy: RetentionPolicy = keepEverything;
  readonly timesMs = new Map<Sequence, number>();
  readonly settled = new Set<Sequence>();
  readonly leases = new Map<Sequence, Lease>();

  constructor(limits: Limits) {
    this.limits = limits;
  }

  #usedUp({ deliveries }: Lease): boolean {
    return this.limits.maxDeliver > 0 && deliveries >= this.limits.maxDeliver;
  }

  settle(sequence: Sequence): boolean {
    if (sequence < 1 || this.settled.has(sequence)) return false;
    this.leases.delete(sequence);
    this.settled.add(sequence);
    return true;
  }

  publish(count: number): void {
    for (let n = 0; n < count; n++) this.timesMs.set(++this.last, this.nowMs);
    this.trim();
  }

  /** Deletes what the policy does not keep; answers how many that were. */
  trim(): number {
    const { maxMessages } = this.policy;
    return this.age() + this.purge(maxMessages === null ? 0 : this.last - maxMessages);
  }

  /** Deletes what is too old. */
  age(): number {
    const { maxAgeMs } = this.policy;
    if (maxAgeMs === null) return 0;
    const old = upTo(this.last).filter((sequence) => (this.timesMs.get(sequence) ?? 0) + maxAgeMs <= this.nowMs);
    return this.purge(old.at(-1) ?? 0);
  }

  expire(): void {
    for (const [sequence, lease] of this.leases) {
      if (lease.dueAtMs <= this.nowMs && this.#usedUp(lease)) this.settle(sequence);
    }
  }

  purge(through: Sequence): number {
    const last = Math.min(through, this.last);
    const deleted = Math.max(0, last - this.purged);
    this.purged += deleted;
    for (const sequence of upTo(this.purged)) this.settle(sequence);
    return deleted;
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
  if (random(3) === 0) {
    expect(await store.expire(undefined, 10)).toEqual({ expired: model.trim(), next: undefined });
    return;
  }
  const maxAgeMs = random(2) === 0 ? null : 1 + random(3000);
  const maxMessages = random(2) === 0 ? null : 1 + random(12);
  const filter = filterOf("orders.>");
  model.policy =
    maxAgeMs === null && maxMessages === null ? keepEverything : { ...keepEverything, maxAgeMs, maxMessages };
  if (model.policy === keepEverything) await store.deletePolicy(filter);
  else await store.putPolicy(filter, model.policy);
};

/** What is too old is not shown, before anything was written that could have removed it. */
const peekShows = async (store: MetadataStore, model: Model): Promise<void> => {
  model.age();
  model.expire();
  const [head] = await store.heads([orders]);
  expect(head).toEqual({ firstSequence: model.purged + 1, lastSequence: model.last });
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
  switch (random(11)) {
    case 0:
    case 1: {
      const count = 1 + random(6);
      await publish(store, orders, count);
      model.publish(count);
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
      for (let count = 0; count < stepsPerSeed; count++) {
        await step(harness.store, model, random, advance);
        model.expire();
        expect(await stateOf(harness.store)).toMatchObject(model.state());
        if (count % 50 === 49) await harness.reopen();
      }
    });
  }
};
