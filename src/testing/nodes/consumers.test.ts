/**
 * Consumers are of the stores, not of a node: leases, acknowledgements, nacks and deletions on one node hold, and are
 * heard of, on the other.
 * @module
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { expectError, sequencesOf, textsOf, upTo } from "../expectations.ts";
import { type ConsumerBody, HttpClient } from "../http-client.ts";
import { uniqueSubject } from "../server.ts";
import { useCluster } from "./use-cluster.ts";
import { Watch } from "./watch.ts";

setDefaultTimeout(30_000);

const patientMs = 25_000;
const cluster = useCluster();
const httpA = (): HttpClient => new HttpClient(cluster().a.url);
const httpB = (): HttpClient => new HttpClient(cluster().b.url);

/** A subject with messages, published on A, and a consumer `c` with `explicit` leases, made on B. */
const prepare = async (count: number, body: ConsumerBody = {}): Promise<string> => {
  const subject = uniqueSubject("shared");
  if (count > 0) await httpA().publishBatch(upTo(count).map((index) => ({ subject, body: `${index}` })));
  await httpB().putConsumer(subject, "c", { ack: "explicit", ...body });
  return subject;
};

/** A fetch that waits on a node; it is there when this resolves. */
const startFetch = async (http: HttpClient, subject: string) => {
  const waiting = http.fetch(subject, "c", { waitMs: patientMs });
  await http.peek(subject, "c");
  return { messages: async () => (await waiting).messages };
};

describe("leases", () => {
  test("are shared: what A leased, B does not get; what A leased, B acknowledges", async () => {
    const subject = await prepare(4);
    expect(sequencesOf((await httpA().fetch(subject, "c", { limit: 2 })).messages)).toEqual([1, 2]);
    expect(sequencesOf((await httpB().fetch(subject, "c")).messages)).toEqual([3, 4]);
    expect(await httpB().ack(subject, "c", { sequences: [1, 2] })).toEqual({ ackedThrough: 2, moved: true });
    expect(await httpA().ack(subject, "c", { sequences: [1] })).toEqual({ ackedThrough: 2, moved: false });
    expect(await httpA().consumer(subject, "c")).toMatchObject({ ackedThrough: 2, ackPending: 2, pending: 2 });
  });

  test("many workers on both nodes settle each message once", async () => {
    const subject = await prepare(400, { max_ack_pending: 60 });
    const done: number[] = [];
    const work = async (http: HttpClient): Promise<void> => {
      while (done.length < 400) {
        const { messages } = await http.fetch(subject, "c", { limit: 7, waitMs: 500 });
        if (messages.length === 0) continue;
        const sequences = sequencesOf(messages);
        await http.ack(subject, "c", { sequences });
        done.push(...sequences);
      }
    };
    await Promise.all([httpA(), httpB(), httpA(), httpB()].map(work));
    expect(done.toSorted((x, y) => x - y)).toEqual(upTo(400));
  });

  test("that run out on A come again on B, counted", async () => {
    const subject = await prepare(1, { ack_wait_ms: 100 });
    await httpA().fetch(subject, "c");
    const page = await httpB().fetch(subject, "c", { waitMs: patientMs });
    expect(page.messages).toMatchObject([{ sequence: 1, deliveries: 2 }]);
  });

  test("are shared with pushes", async () => {
    const subject = await prepare(0);
    await using a = await Watch.open(cluster().a, subject, { consumer: "c" });
    await using b = await Watch.open(cluster().b, subject, { consumer: "c" });
    await httpA().publishBatch(upTo(200).map((index) => ({ subject, body: `${index}` })));
    const pushed = (): number[] => [...a.subscription.sequences(), ...b.subscription.sequences()];
    const all = (): boolean => pushed().length >= 200;
    await Promise.race([a, b].map(({ subscription }) => subscription.conditions.until(all)));
    expect(pushed().toSorted((x, y) => x - y)).toEqual(upTo(200));
  });
});

describe("what wakes who waits on the other node", () => {
  test("a publish", async () => {
    const subject = await prepare(0);
    const waiting = await startFetch(httpB(), subject);
    await httpA().publish({ subject, body: "1" });
    expect(sequencesOf(await waiting.messages())).toEqual([1]);
  });

  test("a nack", async () => {
    const subject = await prepare(1);
    await httpA().fetch(subject, "c");
    const waiting = await startFetch(httpB(), subject);
    expect(await httpA().nack(subject, "c", [1], 0)).toBe(1);
    expect(await waiting.messages()).toMatchObject([{ sequence: 1, deliveries: 2 }]);
  });

  test("a nack, for a subscription", async () => {
    const subject = await prepare(1);
    await httpA().fetch(subject, "c");
    await using watch = await Watch.open(cluster().b, subject, { consumer: "c" });
    expect(await httpA().nack(subject, "c", [1], 0)).toBe(1);
    expect(await watch.subscription.count(1)).toMatchObject([{ sequence: 1, deliveries: 2 }]);
  });

  test("an acknowledgement that makes room under max_ack_pending", async () => {
    const subject = await prepare(2, { max_ack_pending: 1 });
    await httpA().fetch(subject, "c");
    const waiting = await startFetch(httpB(), subject);
    await httpA().ack(subject, "c", { sequences: [1] });
    expect(sequencesOf(await waiting.messages())).toEqual([2]);
  });
});

describe("a consumer that is deleted on A", () => {
  test.each(["all", "explicit"] as const)("ends its subscriptions on B (%s)", async (ack) => {
    const subject = await prepare(1, { ack });
    await using watch = await Watch.open(cluster().b, subject, { consumer: "c" });
    await watch.subscription.count(1);
    await httpA().deleteConsumer(subject, "c");
    await watch.subscription.conditions.until(() => watch.subscription.errors.length > 0);
    expect(watch.subscription.errors.map(({ code }) => code)).toEqual(["consumer_not_found"]);
    await expectError(httpB().consumer(subject, "c"), "consumer_not_found");
  });
});

describe("a subscription on B that resumes a consumer", () => {
  test("starts after what was acknowledged on A and goes on live", async () => {
    const subject = await prepare(5, { ack: "all" });
    await httpA().ack(subject, "c", { sequence: 3 });
    await using watch = await Watch.open(cluster().b, subject, { consumer: "c" });
    await watch.subscription.count(2);
    await httpA().publish({ subject, body: "6" });
    await watch.subscription.count(3);
    expect(textsOf(watch.subscription.messages)).toEqual(["4", "5", "6"]);
  });
});

describe("a purge on A", () => {
  test("is seen on B at once: pages, single messages, heads, consumers", async () => {
    const subject = await prepare(5);
    await using watch = await Watch.open(cluster().b, subject, { from: "first" });
    await watch.subscription.count(5);
    expect(await httpA().purge(subject, 3)).toBe(3);
    expect(await httpB().read(subject)).toMatchObject({ firstSequence: 4, lastSequence: 5 });
    await expectError(httpB().message(subject, 3), "message_expired");
    expect(await httpB().consumer(subject, "c")).toMatchObject({ ackedThrough: 3, pending: 2 });
    expect(sequencesOf((await httpB().fetch(subject, "c")).messages)).toEqual([4, 5]);
    await httpB().purge(subject, 5);
    expect(await httpA().publish({ subject, body: "6" })).toMatchObject({ sequence: 6 });
    await watch.subscription.count(6);
    expect(watch.subscription.sequences()).toEqual(upTo(6));
    await using late = await Watch.open(cluster().b, subject, { from: "first" });
    await late.subscription.count(1);
    expect(late.subscription.sequences()).toEqual([6]);
  });
});
