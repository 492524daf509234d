/**
 * The Event Hub over a real broker: what is sent is an ordinary message, and pages are what a walk over all messages
 * would give, whatever lies between the events.
 */
import { describe, expect, test } from "bun:test";
import { open, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { StreamError } from "../core/errors.ts";
import { type EventType, eventTypes } from "../core/event.ts";
import { parseSubject } from "../core/subject.ts";
import { type BrokerRig, draftOf, publishAll, startBrokerRig, stored, textOf } from "../testing/broker-rig.ts";
import type { EventQuery, EventReceipt, EventSink, EventStream, StoredEvent } from "./contract.ts";
import { createEventHub } from "./index.ts";

const hub = createEventHub();

const submission = (eventType: EventType, userId: string, amountCents = 100) => ({
  event: { userId, eventType, amountCents, timestamp: "2024-01-15T10:30:00Z", occurredAtMs: 1_705_314_600_000 },
});

const send = async ({ broker }: BrokerRig, ...submissions: Parameters<typeof hub.send>[1]) =>
  (await hub.send(broker, submissions)).map((outcome): EventReceipt => {
    if (outcome instanceof StreamError) throw outcome;
    return outcome;
  });

const idsOf = (events: readonly StoredEvent[]): readonly string[] => events.map(({ event }) => event.id);

/** All pages of a query, one after the other. */
const walk = async ({ broker }: BrokerRig, query: Omit<EventQuery, "cursor">): Promise<readonly StoredEvent[]> => {
  const all: StoredEvent[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await hub.list(broker, { ...query, cursor });
    expect(page.events.length).toBeLessThanOrEqual(query.limit);
    all.push(...page.events);
    if (!page.hasMore) return all;
    cursor = page.nextCursor;
    expect(cursor).toBeDefined();
  }
};

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "fine",
    (thrown: unknown) => (thrown instanceof StreamError ? thrown.code : String(thrown)),
  );

describe("sending", () => {
  test("makes ordinary messages", async () => {
    await using rig = await startBrokerRig();
    const [receipt] = await send(rig, { ...submission("refund", "ann", 15_075), headers: { "ce-id": "7" } });
    expect(receipt).toMatchObject({
      duplicate: false,
      event: { id: "refund-1", sequence: 1, receivedAtMs: rig.clock.nowMs },
    });
    const [message] = await stored(rig, "events.refund");
    expect(message?.headers).toEqual({ "content-type": "application/json", "ce-id": "7" });
    expect(textOf(message === undefined ? [] : [message])).toEqual([
      '{"user_id":"ann","event_type":"refund","amount":150.75,"timestamp":"2024-01-15T10:30:00Z"}',
    ]);
  });

  test("once under one key, within the window", async () => {
    await using rig = await startBrokerRig();
    const keyed = { ...submission("purchase", "ann"), idempotencyKey: "k" };
    const [first, second, other] = await send(rig, keyed, keyed, {
      ...submission("return", "ann"),
      idempotencyKey: "k",
    });
    expect([first?.event.id, first?.duplicate]).toEqual(["purchase-1", false]);
    expect([second?.event.id, second?.duplicate]).toEqual(["purchase-1", true]);
    expect([other?.event.id, other?.duplicate]).toEqual(["return-1", false]);
    rig.clock.advance(60_001);
    expect((await send(rig, keyed))[0]).toMatchObject({ duplicate: false, event: { id: "purchase-2" } });
  });

  test("a key of a delayed message is nobody's event", async () => {
    await using rig = await startBrokerRig();
    await rig.broker.publish([draftOf("events.purchase", "x", { messageId: "k", deliverAt: { inMs: 1000 } })]);
    const [outcome] = await hub.send(rig.broker, [{ ...submission("purchase", "ann"), idempotencyKey: "k" }]);
    expect(outcome instanceof StreamError && outcome.code).toBe("invalid_message_id");
  });
});

describe("one event", () => {
  test("is found by its id", async () => {
    await using rig = await startBrokerRig();
    const [receipt] = await send(rig, submission("purchase", "ann"));
    expect((await hub.event(rig.broker, "purchase-1")).event).toEqual(receipt?.event as never);
    for (const id of ["purchase-2", "refund-1", "nothing", ""]) {
      expect(await codeOf(hub.event(rig.broker, id))).toBe("event_not_found");
    }
  });

  test("is none when the message is none, or too large to be one, and has been when it was deleted", async () => {
    await using rig = await startBrokerRig();
    await publishAll(rig, [draftOf("events.purchase", "hello"), draftOf("events.purchase", "x".repeat(100_000))]);
    await send(rig, submission("purchase", "ann"));
    expect(await codeOf(hub.event(rig.broker, "purchase-1"))).toBe("event_not_found");
    expect(await codeOf(hub.event(rig.broker, "purchase-2"))).toBe("event_not_found");
    await rig.purge("events.purchase", 3);
    expect(await codeOf(hub.event(rig.broker, "purchase-3"))).toBe("message_expired");
  });
});

/** Numbers that look random and are the same every time. */
const randomOf = (seed: number): (() => number) => {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
};

/** Events of three users among other messages; some run out after a while, the oldest are deleted. */
const fill = async (rig: BrokerRig, seed: number, rounds: number): Promise<void> => {
  const random = randomOf(seed);
  for (let round = 0; round < rounds; round++) {
    const drafts = Array.from({ length: Math.ceil(random() * 12) }, () => {
      const type = eventTypes[Math.floor(random() ** 2 * 3)] ?? "purchase";
      const kind = random();
      const body =
        kind < 0.1
          ? "no event"
          : `{"user_id":"u${Math.floor(random() * 3)}","event_type":"${type}","amount":1.5,"timestamp":"2024-01-15T10:30:00Z"}`;
      return draftOf(`events.${type}`, body, kind > 0.6 ? { ttlMs: 50_000 } : {});
    });
    await publishAll(rig, drafts);
    if (random() < 0.8) rig.clock.advance(Math.ceil(random() * 20));
  }
};

/** What pages should add up to: every message read plainly, and sorted. */
const expected = async (rig: BrokerRig, query: Omit<EventQuery, "cursor" | "limit">): Promise<readonly string[]> => {
  const all: { readonly id: string; readonly atMs: number; readonly type: number; readonly sequence: number }[] = [];
  for (const [type, eventType] of eventTypes.entries()) {
    if (query.eventType !== undefined && query.eventType !== eventType) continue;
    for (const { body, sequence, timestampMs: atMs } of await stored(rig, `events.${eventType}`)) {
      const text = Buffer.from(body).toString();
      if (text === "no event" || (query.sinceMs !== undefined && atMs < query.sinceMs)) continue;
      const { user_id } = JSON.parse(text) as { readonly user_id: string };
      if (query.userId !== undefined && user_id !== query.userId) continue;
      all.push({ id: `${eventType}-${sequence}`, atMs, type, sequence });
    }
  }
  all.sort((a, b) => a.atMs - b.atMs || a.type - b.type || a.sequence - b.sequence);
  return (query.order === "oldest" ? all : all.reverse()).map(({ id }) => id);
};

/** Turns over the bits of every stored byte. */
const damageAll = async (folder: string): Promise<void> => {
  for (const name of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!name.isFile()) continue;
    const path = join(name.parentPath, name.name);
    const bytes = await readFile(path);
    // In place: the store has the file open.
    await using file = await open(path, "r+");
    await file.write(
      bytes.map((byte) => byte ^ 0xff),
      0,
      bytes.length,
      0,
    );
  }
};

describe("pages", () => {
  test("add up to all events in order, whatever lies between them", async () => {
    for (const seed of [1, 2, 3]) {
      await using rig = await startBrokerRig();
      await fill(rig, seed, 40);
      const middleMs = rig.clock.nowMs;
      // What was to live shorter is gone from the middle; the beginning of one type is deleted.
      rig.clock.advance(50_001);
      await rig.purge("events.purchase", 5);
      await fill(rig, seed + 100, 40);
      for (const order of ["newest", "oldest"] as const) {
        for (const eventType of [undefined, ...eventTypes]) {
          for (const userId of [undefined, "u1"]) {
            for (const sinceMs of [undefined, middleMs + 50_001]) {
              const query = { order, eventType, userId, sinceMs };
              const ids = await expected(rig, query);
              for (const limit of eventType === "refund" ? [1, 7, 1000] : [7, 1000]) {
                expect(idsOf(await walk(rig, { ...query, limit }))).toEqual(ids);
              }
            }
          }
        }
      }
    }
  });

  test("of nothing are empty", async () => {
    await using rig = await startBrokerRig();
    expect(await hub.list(rig.broker, { limit: 10 })).toEqual({ events: [], nextCursor: undefined, hasMore: false });
    const oldest = await hub.list(rig.broker, { limit: 10, order: "oldest" });
    expect(oldest).toMatchObject({ events: [], hasMore: false });
    await send(rig, submission("refund", "ann"));
    const { nextCursor: cursor } = oldest;
    expect(idsOf((await hub.list(rig.broker, { limit: 10, order: "oldest", cursor })).events)).toEqual(["refund-1"]);
  });

  test("go on where they were while events arrive", async () => {
    await using rig = await startBrokerRig();
    for (let index = 0; index < 30; index++) {
      await send(rig, submission(eventTypes[index % 3] ?? "purchase", "ann"));
      rig.clock.advance(1);
    }
    const first = await hub.list(rig.broker, { limit: 10 });
    await send(rig, submission("purchase", "late"), submission("return", "late"));
    const second = await hub.list(rig.broker, { limit: 1000, cursor: first.nextCursor });
    const ids = [...idsOf(first.events), ...idsOf(second.events)];
    expect(new Set(ids).size).toBe(30);
    expect(ids.at(-1)).toBe("purchase-1");
    expect(second.hasMore).toBe(false);
  });

  test("that were shown before show what has come and what has gone since", async () => {
    await using rig = await startBrokerRig();
    await send(rig, ...Array.from({ length: 10 }, (_, index) => submission("purchase", "ann", index)));
    expect(await walk(rig, { limit: 10 })).toHaveLength(10);
    await send(rig, submission("purchase", "bob"), submission("refund", "bob"));
    const purchases = parseSubject("events.purchase");
    await rig.broker.purge(purchases, 4);
    const after = idsOf(await walk(rig, { limit: 10 }));
    expect(after.toSorted()).toEqual(
      ["refund-1", ...[5, 6, 7, 8, 9, 10, 11].map((sequence) => `purchase-${sequence}`)].toSorted(),
    );
    await rig.broker.purge(purchases, 11);
    expect(idsOf(await walk(rig, { limit: 10 }))).toEqual(["refund-1"]);
  });

  test("leave damaged events out", async () => {
    await using rig = await startBrokerRig();
    await send(rig, submission("purchase", "ann"));
    await damageAll(rig.folder);
    const { events, hasMore } = await hub.list(rig.broker, { limit: 10 });
    expect([idsOf(events), hasMore]).toEqual([[], false]);
    const found = await codeOf(hub.event(rig.broker, "purchase-1"));
    expect(found).toBe("data_loss");
  });

  test("cross a gap of a hundred thousand sequences", async () => {
    await using rig = await startBrokerRig();
    await send(rig, submission("purchase", "first"));
    const filler = Array.from({ length: 10_000 }, () => draftOf("events.purchase", "x", { ttlMs: 1000 }));
    for (let batch = 0; batch < 10; batch++) await publishAll(rig, filler);
    rig.clock.advance(1001);
    await send(rig, submission("purchase", "last"));
    const { events, hasMore } = await hub.list(rig.broker, { limit: 2 });
    expect(events.map(({ event }) => event.userId)).toEqual(["last", "first"]);
    expect(hasMore).toBe(false);
  });

  test("by user look at a bounded number of events, and go on", async () => {
    await using rig = await startBrokerRig();
    await send(rig, submission("purchase", "rare"));
    for (let batch = 0; batch < 3; batch++) {
      await send(rig, ...Array.from({ length: 5000 }, () => submission("purchase", "often")));
    }
    const first = await hub.list(rig.broker, { limit: 10, userId: "rare" });
    expect([idsOf(first.events), first.hasMore]).toEqual([[], true]);
    expect(idsOf(await walk(rig, { limit: 10, userId: "rare" }))).toEqual(["purchase-1"]);
  });

  test("refuse cursors that are none of theirs", async () => {
    await using rig = await startBrokerRig();
    await using other = await startBrokerRig();
    for (const each of [rig, other]) await send(each, ...[1, 2, 3].map(() => submission("purchase", "ann")));
    const cursorOf = async (of: BrokerRig, query: Partial<EventQuery>): Promise<string> =>
      (await hub.list(of.broker, { limit: 1, ...query })).nextCursor ?? "";
    const wrong = [
      ...["", "x", "n", "n_1_1_1", "o________"],
      await cursorOf(rig, { order: "oldest" }),
      await cursorOf(rig, { eventType: "purchase" }),
      await cursorOf(other, {}),
      `${await cursorOf(rig, {})}!`,
      (await cursorOf(rig, {})).replace(/_.*/, "_zzzzzzzzzzz_1_1"),
    ];
    for (const cursor of wrong) {
      expect([cursor, await codeOf(hub.list(rig.broker, { limit: 1, cursor }))]).toEqual([cursor, "invalid_parameter"]);
    }
    // All types are a start for one of them, and for one user.
    const cursor = await cursorOf(rig, {});
    const { events } = await hub.list(rig.broker, { limit: 5, cursor, eventType: "purchase", userId: "ann" });
    expect(idsOf(events)).toEqual(["purchase-2", "purchase-1"]);
  });
});

/** Collects what a stream delivers. */
class Collector implements EventSink {
  readonly ids: string[] = [];
  readonly cursors: string[] = [];
  stream: EventStream | undefined;
  error: StreamError | undefined;
  open = true;
  #changed: () => void = () => undefined;

  writable(): boolean {
    return this.open;
  }
  events(batch: readonly StoredEvent[]): void {
    this.ids.push(...idsOf(batch));
    for (const { event } of batch) this.cursors.push(this.stream?.cursorAfter(event) ?? "");
    this.#changed();
  }
  ended(error: StreamError): void {
    this.error = error;
    this.#changed();
  }

  async until(done: () => boolean): Promise<void> {
    while (!done()) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }
}

const follow = async ({ broker }: BrokerRig, request: Parameters<typeof hub.stream>[1]): Promise<Collector> => {
  const collector = new Collector();
  collector.stream = await hub.stream(broker, request, collector);
  expect(collector.ids).toEqual([]);
  return collector;
};

describe("live events", () => {
  test("come as they are stored, of the types and users that are asked for", async () => {
    await using rig = await startBrokerRig();
    await send(rig, submission("purchase", "old"));
    const all = await follow(rig, {});
    const some = await follow(rig, { eventType: "refund", userId: "bob" });
    await publishAll(rig, [draftOf("events.refund", "no event"), draftOf("events.sale", "{}")]);
    await send(rig, submission("purchase", "ann"), submission("refund", "ann"), submission("refund", "bob"));
    await all.until(() => all.ids.length === 3);
    await some.until(() => some.ids.length === 1);
    expect(all.ids.toSorted()).toEqual(["purchase-2", "refund-2", "refund-3"]);
    expect(some.ids).toEqual(["refund-3"]);
    all.stream?.close();
    await send(rig, submission("refund", "bob"));
    await some.until(() => some.ids.length === 2);
    expect(all.ids).toHaveLength(3);
  });

  test("go on from a page, and from where another stream was, each once", async () => {
    await using rig = await startBrokerRig();
    await send(rig, ...eventTypes.map((type) => submission(type, "ann")));
    const { nextCursor } = await hub.list(rig.broker, { limit: 2, order: "oldest" });
    await send(rig, ...eventTypes.map((type) => submission(type, "ann")));
    const first = await follow(rig, { cursor: nextCursor });
    await first.until(() => first.ids.length === 4);
    expect(first.ids.toSorted()).toEqual(["purchase-2", "refund-1", "refund-2", "return-2"]);
    for (const [index, cursor] of first.cursors.entries()) {
      const second = await follow(rig, { cursor });
      await second.until(() => second.ids.length === 3 - index);
      expect(second.ids.toSorted()).toEqual(first.ids.slice(index + 1).toSorted());
      second.stream?.close();
    }
    const cursor = first.stream?.cursor ?? "";
    await send(rig, submission("return", "ann"));
    const third = await follow(rig, { cursor });
    await third.until(() => third.ids.length === 1);
    expect(third.ids).toEqual(["return-3"]);
  });

  test("wait while nobody can take them", async () => {
    await using rig = await startBrokerRig();
    const slow = await follow(rig, {});
    slow.open = false;
    const events = Array.from({ length: 500 }, (_, index) => submission(eventTypes[index % 3] ?? "return", "ann"));
    await send(rig, ...events);
    expect(slow.ids).toEqual([]);
    slow.open = true;
    slow.stream?.resume();
    await slow.until(() => slow.ids.length === 500);
    expect(new Set(slow.ids).size).toBe(500);
  });

  test("a wrong cursor opens nothing", async () => {
    await using rig = await startBrokerRig();
    for (const cursor of ["x", "n_1_1_1"]) {
      expect(await codeOf(hub.stream(rig.broker, { cursor }, new Collector()))).toBe("invalid_parameter");
    }
  });
});

test("what is published past the hub is seen all the same", async () => {
  await using rig = await startBrokerRig();
  const body = '{"user_id":"ann","event_type":"return","amount":"2.50","timestamp":"2024-01-15T10:30:00Z"}';
  await rig.broker.publish([{ subject: parseSubject("events.return"), headers: {}, body: Buffer.from(body) }]);
  const { events } = await hub.list(rig.broker, { limit: 1 });
  expect(events[0]?.event).toMatchObject({ id: "return-1", amountCents: 250, userId: "ann" });
});
