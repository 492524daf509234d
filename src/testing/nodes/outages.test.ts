/**
 * Single nodes and stores that go away and come back: what was leased, half published, deleted or watched meanwhile,
 * what `/readyz` says, and what the doctor finds. Load and proofs are in `faults.test.ts`.
 * @module
 */
import { beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { expectError, sequencesOf, textsOf, upTo } from "../expectations.ts";
import { HttpClient } from "../http-client.ts";
import { uniqueSubject } from "../server.ts";
import type { ClusterNode } from "./cluster.ts";
import { diagnose, publishesAgain } from "./proof.ts";
import { untilReadiness } from "./readiness.ts";
import { useCluster } from "./use-cluster.ts";
import { Watch } from "./watch.ts";

setDefaultTimeout(60_000);

const patientMs = 50_000;
const cluster = useCluster({ proxies: true });
const http = (node: ClusterNode): HttpClient => new HttpClient(node.url);

beforeEach(async () => {
  // One test that failed must not fail the others.
  const { a, minio } = cluster();
  if (!a.isUp) await a.restart();
  if (minio.pid === undefined) await minio.restart();
});

describe("a node that is stopped (SIGSTOP) and goes on", () => {
  test("loses its leases to the other node and takes nothing back", async () => {
    const { a, b } = cluster();
    const subject = uniqueSubject("stopped");
    await http(b).publishBatch(upTo(3).map((index) => ({ subject, body: `${index}` })));
    await http(b).putConsumer(subject, "c", { ack: "explicit", ack_wait_ms: 300 });
    await using watch = await Watch.open(a, subject, { consumer: "c" });
    await watch.subscription.count(3);
    await a.pause();
    const { messages } = await http(b).fetch(subject, "c", { waitMs: patientMs });
    for (const { deliveries } of messages) expect(deliveries).toBeGreaterThan(1);
    const sequences = sequencesOf(messages);
    await http(b).ack(subject, "c", { sequences });
    a.proceed();
    expect(await http(a).ack(subject, "c", { sequences })).toMatchObject({ moved: false });
    await http(a).ack(subject, "c", { sequence: 3 });
    expect(await http(b).consumer(subject, "c")).toMatchObject({ ackedThrough: 3, pending: 0, ackPending: 0 });
  });

  test("in the midst of a publish appends to what the other published meanwhile", async () => {
    const { a, b } = cluster();
    const subject = uniqueSubject("stopped");
    await http(b).publish({ subject, body: "1" });
    await a.restart([{ point: "commit.before", hit: 1, act: "hold" }]);
    const late = http(a).publish({ subject, body: "from A" });
    const refused = expectError(
      http(a).publish({ subject, body: "from A", expectedLastSequence: 1 }),
      "wrong_last_sequence",
    );
    await a.process.wrote("held at commit.before\n");
    await a.pause();
    for (const index of upTo(5, 2)) await http(b).publish({ subject, body: `${index}` });
    a.proceed();
    a.process.signal("SIGUSR2");
    expect(await late).toMatchObject({ sequence: 7 });
    await refused;
    expect(textsOf((await http(b).read(subject)).messages)).toEqual(["1", "2", "3", "4", "5", "6", "from A"]);
    await a.restart();
  });

  test("hears of everything that it slept through", async () => {
    const { a, b } = cluster();
    const root = uniqueSubject("slept");
    await using wild = await Watch.open(a, `${root}.*`);
    await using notified = await Watch.open(a, `${root}.*`, { mode: "notify" });
    const waiting = http(a).read(`${root}.2`, { waitMs: patientMs });
    await http(a).read(`${root}.2`);
    await a.pause();
    for (const index of upTo(30)) await http(b).publish({ subject: `${root}.${index % 3}`, body: `${index}` });
    a.proceed();
    await wild.reached(new Map(upTo(3, 0).map((tail) => [`${root}.${tail}`, 10])));
    expect(wild.subscription.messages).toHaveLength(30);
    const latest = () => new Map(notified.subscription.notified.map(({ subject, sequence }) => [subject, sequence]));
    await notified.subscription.conditions.until(() => [...latest().values()].join() === "10,10,10");
    expect((await waiting).messages[0]?.sequence).toBe(1);
  });
});

describe("a node that is killed", () => {
  test("after a commit and before its answer: the retry on the other node gets the first sequence", async () => {
    const { a, b } = cluster();
    const subject = uniqueSubject("killed");
    await a.restart([{ point: "commit.after", hit: 1, act: "kill" }]);
    const draft = { subject, body: "once", messageId: "once" };
    const lost = http(a)
      .publish(draft)
      .catch((error: unknown) => error);
    expect(await lost).toBeInstanceOf(Error);
    expect(await http(b).publish(draft)).toMatchObject({ sequence: 1, duplicate: true });
    await a.restart();
    expect(await http(a).publish(draft)).toMatchObject({ sequence: 1, duplicate: true });
    expect((await http(a).read(subject)).lastSequence).toBe(1);
  });

  test("before a commit: its bodies are orphans, which the doctor counts and which are no problem", async () => {
    const { a, b } = cluster();
    const subject = uniqueSubject("orphan");
    const before = await diagnose(cluster());
    await a.restart([{ point: "commit.before", hit: 1, act: "kill" }]);
    const { process } = a;
    await http(a)
      .publish({ subject, body: "never told" })
      .catch(() => undefined);
    expect(await process.exited).toMatchObject({ signal: "SIGKILL" });
    const after = await diagnose(cluster());
    expect(after).toMatchObject({ healthy: true, problems: 0, orphans: before.orphans + 1 });
    expect(await http(b).read(subject)).toMatchObject({ lastSequence: 0, messages: [] });
    await a.restart();
  });
});

describe("/readyz and the epoch", () => {
  const all = { status: 200, ready: { metadata: true, bodies: true } };

  test("Tarantool is down and comes back", async () => {
    const { nodes, tarantool, a } = cluster();
    const { epoch } = await http(a).read("any");
    await Promise.all(nodes.map((node) => untilReadiness(node, all)));
    await tarantool.kill("SIGKILL");
    const down = { status: 503, ready: { metadata: false, bodies: true } };
    await Promise.all(nodes.map((node) => untilReadiness(node, down)));
    await tarantool.restart();
    await Promise.all(nodes.map((node) => untilReadiness(node, all)));
    for (const node of nodes) expect((await http(node).read("any")).epoch).toBe(epoch);
  });

  test("MinIO is down and comes back", async () => {
    const { nodes, minio } = cluster();
    await minio.kill("SIGKILL");
    const down = { status: 503, ready: { metadata: true, bodies: false } };
    await Promise.all(nodes.map((node) => untilReadiness(node, down)));
    await minio.restart();
    await Promise.all(nodes.map((node) => untilReadiness(node, all)));
  });

  test("only the node that is cut off says so", async () => {
    const { a, b } = cluster();
    await a.proxies.metadata.refuse();
    await untilReadiness(a, { status: 503, ready: { metadata: false, bodies: true } });
    await untilReadiness(b, all);
    await a.proxies.metadata.listen();
    await untilReadiness(a, all);
  });
});

describe("over a restart of Tarantool", () => {
  test("what was subscribed goes on: known subjects, new ones, notifications, long polls", async () => {
    const { a, b, tarantool } = cluster();
    const root = uniqueSubject("over");
    await using wild = await Watch.open(b, `${root}.>`);
    await using notified = await Watch.open(b, `${root}.>`, { mode: "notify" });
    await http(a).publish({ subject: `${root}.known`, body: "1" });
    await wild.subscription.count(1);
    const waiting = http(b).read(`${root}.new`, { waitMs: patientMs });
    await http(b).read(`${root}.new`);
    await tarantool.restart("SIGKILL");
    await publishesAgain(a, `${root}.known`);
    await http(a).publish({ subject: `${root}.new`, body: "1" });
    await wild.reached(
      new Map([
        [`${root}.known`, 2],
        [`${root}.new`, 1],
      ]),
    );
    expect(wild.subscription.messages).toHaveLength(3);
    const latest = () => new Map(notified.subscription.notified.map(({ subject, sequence }) => [subject, sequence]));
    await notified.subscription.conditions.until(
      () => latest().get(`${root}.known`) === 2 && latest().get(`${root}.new`) === 1,
    );
    expect(textsOf((await waiting).messages)).toEqual(["1"]);
  });

  test("what was published before and never told of is pushed after it", async () => {
    const { a, b, tarantool } = cluster();
    const root = uniqueSubject("untold");
    await using wild = await Watch.open(b, `${root}.>`);
    // B hears nothing of these, and the feed that would tell it ends with the process.
    await b.proxies.metadata.refuse();
    await http(a).publish({ subject: `${root}.one`, body: "1" });
    await http(a).publish({ subject: `${root}.two`, body: "1" });
    await tarantool.restart("SIGKILL");
    await b.proxies.metadata.listen();
    await publishesAgain(a, `${root}.one`);
    await wild.reached(
      new Map([
        [`${root}.one`, 2],
        [`${root}.two`, 1],
      ]),
    );
    expect(wild.subscription.messages).toHaveLength(3);
  });

  test("leases, acknowledgements and message ids are still there", async () => {
    const { a, b, tarantool } = cluster();
    const subject = uniqueSubject("kept");
    const draft = { subject, body: "1", messageId: "m" };
    const receipt = await http(a).publish(draft);
    await http(a).publishBatch(upTo(3, 2).map((index) => ({ subject, body: `${index}` })));
    await http(a).putConsumer(subject, "c", { ack: "explicit", ack_wait_ms: 3_600_000 });
    await http(a).fetch(subject, "c", { limit: 2 });
    await http(a).ack(subject, "c", { sequences: [1] });
    await tarantool.restart("SIGKILL");
    await publishesAgain(b, uniqueSubject("again"));
    expect(await http(b).publish(draft)).toEqual({ ...receipt, duplicate: true });
    expect(await http(b).consumer(subject, "c")).toMatchObject({ ackedThrough: 1, pending: 3, ackPending: 1 });
    expect(sequencesOf((await http(b).fetch(subject, "c")).messages)).toEqual([3, 4]);
  });

  test.each(["all", "explicit"] as const)(
    "a consumer that was deleted meanwhile ends its subscriptions (%s)",
    async (ack) => {
      const { a, b, tarantool } = cluster();
      const subject = uniqueSubject("deleted");
      await http(a).publish({ subject, body: "1" });
      await http(a).putConsumer(subject, "c", { ack });
      await using watch = await Watch.open(b, subject, { consumer: "c" });
      await watch.subscription.count(1);
      // B hears nothing of the deletion, and the feed that would tell it ends with the process.
      await b.proxies.metadata.refuse();
      await http(a).deleteConsumer(subject, "c");
      await tarantool.restart("SIGKILL");
      await b.proxies.metadata.listen();
      await watch.subscription.conditions.until(() => watch.subscription.errors.length > 0);
      expect(watch.subscription.errors.map(({ code }) => code)).toEqual(["consumer_not_found"]);
    },
    20_000,
  );
});
