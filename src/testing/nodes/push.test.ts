/**
 * Two nodes over one pair of stores: what is published on one is pushed, notified and answered on the other; many
 * publishers on both make one order that everybody sees.
 * @module
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { sequencesOf, textsOf, upTo } from "../expectations.ts";
import { Ledger } from "../faults/ledger.ts";
import { HttpClient } from "../http-client.ts";
import { uniqueSubject } from "../server.ts";
import { WsClient } from "../ws-client.ts";
import { Load } from "./load.ts";
import { proveEverywhere } from "./proof.ts";
import { useCluster } from "./use-cluster.ts";
import { Watch } from "./watch.ts";

setDefaultTimeout(30_000);

const cluster = useCluster();
const httpA = (): HttpClient => new HttpClient(cluster().a.url);
const httpB = (): HttpClient => new HttpClient(cluster().b.url);

test("the nodes are two, with one epoch", async () => {
  await using a = await Watch.open(cluster().a, uniqueSubject("epoch"));
  await using b = await Watch.open(cluster().b, uniqueSubject("epoch"));
  expect(a.client.welcome.string("epoch")).toBe(b.client.welcome.string("epoch"));
  expect(a.client.welcome.string("node")).not.toBe(b.client.welcome.string("node"));
});

describe("published on A, pushed on B", () => {
  test("to a subject, with body, headers and time as they were acknowledged", async () => {
    const subject = uniqueSubject("push");
    await using watch = await Watch.open(cluster().b, subject);
    const receipt = await httpA().publish({ subject, body: "hello", headers: { k: "Ж" } });
    const [message] = await watch.subscription.count(1);
    expect(message).toMatchObject({ subject, sequence: 1, timestampMs: receipt.timestampMs, deliveries: 1 });
    expect(message?.headers).toMatchObject({ k: "Ж" });
    expect(textsOf([message!])).toEqual(["hello"]);
  });

  test("to wildcards; new subjects join by themselves, what does not match stays away", async () => {
    const root = uniqueSubject("join");
    await using star = await Watch.open(cluster().b, `${root}.*`);
    await using rest = await Watch.open(cluster().b, `${root}.>`);
    await using other = await Watch.open(cluster().b, `${root}.x.*`);
    for (const tail of ["x", "y", "x.deep", "z"]) await httpA().publish({ subject: `${root}.${tail}`, body: tail });
    await httpA().publish({ subject: `${root}.x`, body: "x again" });
    await rest.subscription.count(5);
    await star.subscription.count(4);
    await other.subscription.count(1);
    expect(textsOf(rest.subscription.messages).toSorted()).toEqual(["x", "x again", "x.deep", "y", "z"]);
    expect(textsOf(star.subscription.messages).toSorted()).toEqual(["x", "x again", "y", "z"]);
    expect(textsOf(other.subscription.messages)).toEqual(["x.deep"]);
  });

  test("a subscription from `new` is not pushed what was acknowledged on A before", async () => {
    const root = uniqueSubject("before");
    const subject = `${root}.a`;
    for (const index of upTo(20)) {
      await httpA().publish({ subject, body: `old ${index}` });
      await using wild = await Watch.open(cluster().b, `${root}.*`);
      await using exact = await Watch.open(cluster().b, subject);
      await httpA().publish({ subject, body: `new ${index}` });
      await wild.subscription.count(1);
      await exact.subscription.count(1);
      expect(textsOf(wild.subscription.messages)).toEqual([`new ${index}`]);
      expect(textsOf(exact.subscription.messages)).toEqual([`new ${index}`]);
    }
  });

  test("a backlog from `first` and what is published meanwhile meet without gap or repeat", async () => {
    const root = uniqueSubject("backlog");
    const [one, two] = [`${root}.one`, `${root}.two`];
    const batch = (count: number) =>
      upTo(count).flatMap((index) => [one, two].map((subject) => ({ subject, body: `${index}` })));
    await httpA().publishBatch(batch(500));
    const [watch] = await Promise.all([
      Watch.open(cluster().b, `${root}.*`, { from: "first" }),
      httpA().publishBatch(batch(500)),
      httpB().publishBatch(batch(500)),
    ]);
    await using watching = watch;
    await watching.reached(new Map([one, two].map((subject) => [subject, 1500])));
    for (const subject of [one, two]) {
      const messages = watching.subscription.messages.filter((message) => message.subject === subject);
      expect(sequencesOf(messages)).toEqual(upTo(1500));
    }
  });

  test("notifications tell the latest sequence and never go back", async () => {
    const root = uniqueSubject("notify");
    await using watch = await Watch.open(cluster().b, `${root}.*`, { mode: "notify" });
    const { subscription } = watch;
    for (const index of upTo(50)) await httpA().publish({ subject: `${root}.${index % 2}`, body: `${index}` });
    const latest = (subject: string): number =>
      subscription.notified.filter((each) => each.subject === subject).at(-1)?.sequence ?? 0;
    await subscription.conditions.until(() => latest(`${root}.0`) === 25 && latest(`${root}.1`) === 25);
    for (const tail of [0, 1]) {
      const told = sequencesOf(subscription.notified.filter((each) => each.subject === `${root}.${tail}`));
      expect(told).toEqual([...new Set(told)].toSorted((x, y) => x - y));
    }
  });

  test("a large body, which is never in the memory of B", async () => {
    const subject = uniqueSubject("large");
    await using watch = await Watch.open(cluster().b, subject);
    const body = new Uint8Array(2 * 1024 * 1024).fill(7);
    await httpA().publish({ subject, body });
    const [message] = await watch.subscription.count(1);
    expect(Buffer.compare(message!.body, body)).toBe(0);
  });
});

describe("long polls on B", () => {
  test("are answered by a publish on A", async () => {
    const subject = uniqueSubject("poll");
    for (const index of upTo(10)) {
      const waiting = httpB().read(subject, { from: index, waitMs: 25_000 });
      // Asked later on the same node, so the poll is there before.
      await httpB().read(subject);
      await httpA().publish({ subject, body: `${index}` });
      expect(sequencesOf((await waiting).messages)).toEqual([index]);
    }
  });

  test("of many subjects at once each get their own", async () => {
    const subjects = upTo(20).map(() => uniqueSubject("polls"));
    const waiting = subjects.map((subject) => httpB().read(subject, { waitMs: 25_000 }));
    await httpA().publishBatch(subjects.map((subject) => ({ subject, body: subject })));
    for (const [index, page] of (await Promise.all(waiting)).entries()) {
      expect(textsOf(page.messages)).toEqual([subjects[index]!]);
    }
  });
});

describe("publishers on both nodes", () => {
  test("to one subject: dense, each once, one order on every node", async () => {
    const root = uniqueSubject("both");
    const subjects = [`${root}.a`, `${root}.b`];
    const ledger = new Ledger();
    const { nodes } = cluster();
    const watches = await Promise.all(
      nodes.flatMap((node) => [
        Watch.open(node, `${root}.*`),
        Watch.open(node, subjects[0]!),
        Watch.open(node, subjects[0]!, { from: "first" }),
      ]),
    );
    const lane = { nodes, subjects, bodyBytes: (index: number) => (index * 37) % 500 };
    const load = new Load(ledger, [
      { ...lane, lane: "a.ws", home: 0, transport: "ws", window: 50 },
      { ...lane, lane: "b.ws", home: 1, transport: "ws", window: 50 },
      { ...lane, lane: "a.http", home: 0, transport: "http", window: 1 },
      { ...lane, lane: "b.http", home: 1, transport: "http", window: 1 },
    ]);
    await load.more(1500);
    await load.stop();
    expect([...load.book.failures]).toEqual([]);
    await proveEverywhere(nodes, ledger, watches);
    await Promise.all(watches.map((watch) => watch[Symbol.asyncDispose]()));
  });

  test("of messages that expect the same last sequence one wins", async () => {
    const subject = uniqueSubject("cas");
    const clients = await Promise.all(cluster().nodes.map(({ wsUrl }) => WsClient.connect(wsUrl)));
    for (const expectedLastSequence of upTo(20, 0)) {
      const outcomes = await Promise.allSettled(
        clients.map((client, node) => client.publish({ subject, body: `${node}`, expectedLastSequence })),
      );
      expect(outcomes.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    }
    expect((await httpB().read(subject)).lastSequence).toBe(20);
    await Promise.all(clients.map((client) => client.close()));
  });

  test("of messages with one id one is stored, and both nodes answer its sequence", async () => {
    const subject = uniqueSubject("id");
    for (const index of upTo(20)) {
      const draft = { subject, body: `${index}`, messageId: `id-${index}` };
      const [a, b] = await Promise.all([httpA().publish(draft), httpB().publish(draft)]);
      expect([a.duplicate, b.duplicate].toSorted()).toEqual([false, true]);
      expect(a).toEqual({ ...b, duplicate: a.duplicate });
      expect(await httpB().publish(draft)).toEqual({ ...a, duplicate: true });
    }
    expect(sequencesOf((await httpA().read(subject)).messages)).toEqual(upTo(20));
  });
});
