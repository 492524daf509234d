/**
 * What each token may do on a real stream: every verb, with and without its permission, inside and outside its
 * subjects, and what happens when its time is over.
 * @module
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openFileBodies } from "../bodies/files/index.ts";
import type { Broker, Delivery, SubscriptionSink } from "../broker/contract.ts";
import { createBroker, type OwnedBroker } from "../broker/index.ts";
import { StreamError } from "../core/errors.ts";
import { type ConsumerConfig, type Draft, isScheduled, type PublishOutcome } from "../core/message.ts";
import { type ConsumerName, parseConsumerName, parseFilter, parseSubject, type Subject } from "../core/subject.ts";
import type { MetadataStore } from "../metadata/contract.ts";
import { openSqliteMetadata } from "../metadata/sqlite/index.ts";
import { audience, issuer, makeSecret, signWithSecret } from "../testing/tokens.ts";
import { createAuthenticator } from "./authenticator.ts";
import type { Authenticator, Principal } from "./contract.ts";
import type { AuthTimers } from "./lifetime.ts";

let folder = "";
let metadata: MetadataStore;
let stream: OwnedBroker;
let authenticator: Authenticator;
const secret = makeSecret();
const lines: Readonly<Record<string, unknown>>[] = [];

/** The clock of the tokens, and the timers that wait for it. */
const clock = {
  nowMs: Date.now(),
  waiting: new Set<() => void>(),
  timers: {
    after: (_ms: number, run: () => void) => {
      clock.waiting.add(run);
      return { cancel: () => void clock.waiting.delete(run) };
    },
  } satisfies AuthTimers,
  advance(ms: number): void {
    clock.nowMs += ms;
    const due = [...clock.waiting];
    clock.waiting.clear();
    for (const run of due) run();
  },
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "mts-auth-"));
  metadata = await openSqliteMetadata({ path: ":memory:", clock: Date.now, dedupeWindowMs: 1000 });
  stream = createBroker({
    metadata,
    bodies: await openFileBodies({ path: join(folder, "bodies") }),
    bodyBytesMax: 1024 * 1024,
  });
  await stream.start();
  const note = (event: string, fields: Readonly<Record<string, unknown>>) => lines.push({ event, ...fields });
  authenticator = createAuthenticator({
    auth: { kind: "jwt", algorithms: ["HS256"], issuer, audience, key: { kind: "secret", secret } },
    broker: stream,
    audit: "changes",
    log: { info: note, warn: note },
    clock: () => clock.nowMs,
    timers: clock.timers,
  });
});
afterAll(async () => {
  await stream.drain();
  await metadata.close();
  await rm(folder, { recursive: true, force: true });
});

interface Rights {
  readonly subjects?: readonly string[];
  readonly deny?: readonly string[];
  readonly permissions?: readonly string[];
  readonly admin?: boolean;
  readonly seconds?: number;
}

let tokens = 0;

const principalWith = async (rights: Rights = {}): Promise<Principal> => {
  const { subjects = [">"], deny = [], permissions = ["*"], admin = false, seconds = 3600 } = rights;
  const exp = Math.floor(clock.nowMs / 1000) + seconds;
  const claims = { allowed_subjects: subjects, deny_subjects: deny, permissions, admin, exp, n: tokens++ };
  return authenticator.authenticate(await signWithSecret(secret, claims));
};

const brokerWith = async (rights: Rights = {}): Promise<Broker> => (await principalWith(rights)).broker;

const draft = (subject: string, body = "x"): Draft => ({
  subject: parseSubject(subject),
  headers: {},
  body: new TextEncoder().encode(body),
});

const outcomes = (answers: readonly PublishOutcome[]): readonly (string | number)[] =>
  answers.map((answer) => {
    if (answer instanceof StreamError) return answer.code;
    return isScheduled(answer) ? "scheduled" : answer.sequence;
  });

const codeOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return "ok";
  } catch (thrown) {
    if (thrown instanceof StreamError) return thrown.code;
    throw thrown;
  }
};

/** Hears what a transport would. */
class Ear implements SubscriptionSink {
  readonly batchBytesMax = 1024 * 1024;
  readonly heard: string[] = [];
  readonly end = Promise.withResolvers<string>();
  #wanted = { count: Number.POSITIVE_INFINITY, tell: () => undefined as unknown };

  writable(): boolean {
    return true;
  }
  messages(batch: readonly Delivery[]): void {
    for (const { subject, sequence } of batch) this.heard.push(`${subject} ${sequence}`);
    if (this.heard.length >= this.#wanted.count) this.#wanted.tell();
  }
  damaged(): void {
    this.heard.push("damaged");
  }
  notify(): void {
    this.heard.push("notify");
  }
  ended(error: StreamError): void {
    this.end.resolve(error.code);
  }
  /** Resolves when so much was heard. */
  hears(count: number): Promise<readonly string[]> {
    return new Promise((resolve) => {
      const tell = (): void => resolve(this.heard);
      this.#wanted = { count, tell };
      if (this.heard.length >= count) tell();
    });
  }
}

const config: ConsumerConfig = {
  start: { kind: "first" },
  ack: "explicit",
  ackWaitMs: 30_000,
  maxDeliver: 0,
  maxAckPending: 10,
};
const name: ConsumerName = parseConsumerName("worker");

const subscribe = (broker: Broker, filter: string, sink: SubscriptionSink = new Ear(), from: "first" | "new" = "new") =>
  broker.subscribe(
    { filter: parseFilter(filter), from: { kind: from }, mode: "messages", credit: Number.POSITIVE_INFINITY },
    sink,
  );

/** An upload that was never opened is not found, by whoever may ask. */
const unlessMissing = async (work: Promise<unknown>): Promise<void> => {
  try {
    await work;
  } catch (thrown) {
    if (!(thrown instanceof StreamError) || thrown.code !== "upload_not_found") throw thrown;
  }
};

const claimOf = (subject: Subject) => ({ subject, length: 1, sha256: new Uint8Array(32) });

const readRequest = (subject: Subject, waitMs = 0) => ({
  subject,
  from: { kind: "first" } as const,
  limit: 10,
  bodyBytesMax: 1000,
  waitMs,
});
const fetchRequest = (subject: Subject, waitMs = 0) => ({
  ...{ subject, consumer: name, limit: 1, bodyBytesMax: 1000 },
  ...{ waitMs, autoAck: false },
});

async function* bytes(): AsyncGenerator<Uint8Array> {
  yield new Uint8Array([1]);
}

/** Every verb on one subject. */
const verbs: Readonly<Record<string, (broker: Broker, subject: Subject) => Promise<unknown>>> = {
  publish: async (broker, subject) => {
    const [outcome] = await broker.publish([draft(subject)]);
    if (outcome instanceof StreamError) throw outcome;
  },
  openUpload: (broker, subject) => broker.openUpload(claimOf(subject), false),
  completeUpload: (broker, subject) => unlessMissing(broker.completeUpload(claimOf(subject), "u/none")),
  takeUpload: (broker, subject) => unlessMissing(broker.takeUpload(claimOf(subject), "u/none")),
  read: (broker, subject) => broker.read(readRequest(subject)),
  readEnvelopes: (broker, subject) => broker.readEnvelopes(readRequest(subject)),
  message: (broker, subject) => broker.message(subject, 1),
  subject: (broker, subject) => broker.subject(subject),
  fetch: (broker, subject) => broker.fetch(fetchRequest(subject)),
  peek: (broker, subject) => broker.peek(subject, name, 1),
  receipts: (broker, subject) => broker.receipts(subject, 1),
  awaitReceipts: (broker, subject) => broker.awaitReceipts({ subject, sequence: 1, acked: 1 }, 0),
  subscribe: async (broker, subject) => (await subscribe(broker, subject)).close(),
  putConsumer: (broker, subject) => broker.putConsumer(subject, parseConsumerName("own"), config),
  consumer: (broker, subject) => broker.consumer(subject, name),
  consumers: (broker, subject) => broker.consumers(subject),
  ack: (broker, subject) => broker.ack(subject, name, { sequences: [1] }),
  nack: (broker, subject) => broker.nack(subject, name, [2], 0),
  deleteConsumer: (broker, subject) => broker.deleteConsumer(subject, parseConsumerName("own")),
  purge: (broker, subject) => broker.purge(subject, 0),
};

const publishVerbs = ["publish", "openUpload", "completeUpload", "takeUpload", "awaitReceipts"];
const fetchVerbs = ["read", "readEnvelopes", "message", "subject", "fetch", "peek", "receipts", "awaitReceipts"];
const consumerVerbs = ["putConsumer", "consumer", "consumers", "ack", "nack", "deleteConsumer"];

/** A subject with two messages and a consumer. */
const prepared = async (subjectName: string): Promise<Subject> => {
  const subject = parseSubject(subjectName);
  await stream.publish([draft(subject), draft(subject)]);
  await stream.putConsumer(subject, name, config);
  return subject;
};

/** What each verb answers, in the order of the table. */
const answers = async (broker: Broker, subject: Subject): Promise<readonly string[]> => {
  const allowed: string[] = [];
  for (const [verb, run] of Object.entries(verbs)) {
    const code = await codeOf(run(broker, subject));
    if (code === "ok") allowed.push(verb);
    else if (code !== "permission_denied") allowed.push(`${verb}: ${code}`);
  }
  return allowed;
};

describe("permissions", () => {
  const all = Object.keys(verbs);
  test.each([
    ["none", { permissions: [] }, []],
    ["publish", { permissions: ["publish"] }, publishVerbs],
    ["fetch", { permissions: ["fetch"] }, [...fetchVerbs, ...consumerVerbs]],
    ["subscribe", { permissions: ["subscribe"] }, ["subscribe", ...consumerVerbs]],
    ["*", { permissions: ["*"] }, all.filter((verb) => verb !== "purge")],
    ["admin alone", { permissions: [], admin: true }, ["purge"]],
    ["* and admin", { permissions: ["*"], admin: true }, all],
    ["unknown words", { permissions: ["Publish", "read", "all"] }, []],
  ])("%s", async (title, rights, expected) => {
    const subject = await prepared(`permissions.${title.replaceAll(/[^a-z]/g, "_")}x`);
    const found = await answers(await brokerWith(rights), subject);
    expect(found.toSorted()).toEqual([...expected].sort());
  });
});

describe("subjects", () => {
  test.each([
    ["another one", ["other"], []],
    ["none at all", [], []],
    ["the same in capitals", ["MINE.X"], []],
    ["its parent", ["mine"], []],
    ["a longer one", ["mine.x.*"], []],
    ["a wildcard of another length", ["*.*.*"], []],
    ["denied", [">"], ["mine.x", "never.x"]],
    ["denied by a wildcard", [">"], ["*.x"]],
    ["denied by everything", ["mine.x", "never.x"], ["*"]],
  ])("%s: no verb, in the same words whether or not the subject exists", async (_, subjects, deny) => {
    const there = await prepared("mine.x");
    const never = parseSubject("never.x");
    const broker = await brokerWith({ subjects, deny, admin: true });
    for (const [verb, run] of Object.entries(verbs)) {
      const [a, b] = await Promise.allSettled([run(broker, there), run(broker, never)]);
      expect(a, verb).toMatchObject({ status: "rejected", reason: { code: "permission_denied" } });
      expect(String(b.status === "rejected" && b.reason), verb).toBe(String(a.status === "rejected" && a.reason));
    }
    expect(await codeOf(stream.subject(never))).toBe("subject_not_found");
  });

  test.each([
    ["itself", ["mine.y"]],
    ["a star", ["mine.*"]],
    ["the rest", ["mine.>"]],
    ["a lone star is everything", ["*"]],
    ["one of several", ["a", "b.>", "mine.y"]],
  ])("%s: every verb", async (_, subjects) => {
    const subject = await prepared("mine.y");
    const found = await answers(await brokerWith({ subjects, deny: ["mine.z"], admin: true }), subject);
    expect(found).toEqual(Object.keys(verbs));
  });
});

describe("publish", () => {
  test("denied drafts are refused one by one, the others keep their order", async () => {
    const broker = await brokerWith({ subjects: ["p.*"], deny: ["p.no"] });
    // Refusals of one second are bounded.
    clock.advance(1000);
    const drafts = ["p.a", "q", "p.b", "p.no", "p.a", "p.a.b", "p.a"].map((subject) => draft(subject));
    expect(outcomes(await broker.publish(drafts))).toEqual([
      1,
      "permission_denied",
      1,
      "permission_denied",
      2,
      "permission_denied",
      3,
    ]);
    expect(lines.filter(({ verb, subject }) => verb === "publish" && subject === "p.no")).toEqual([
      {
        ...{ event: "audit", client: "tester", verb: "publish" },
        subject: "p.no",
        outcome: "permission_denied",
        messages: 1,
      },
    ]);
  });

  test("without the permission every draft is refused, and nothing is stored", async () => {
    const broker = await brokerWith({ permissions: ["fetch", "subscribe"] });
    expect(outcomes(await broker.publish([draft("p.c"), draft("p.c")]))).toEqual([
      "permission_denied",
      "permission_denied",
    ]);
    expect(await codeOf(stream.subject(parseSubject("p.c")))).toBe("subject_not_found");
    expect(await codeOf(broker.storeBody(bytes()))).toBe("permission_denied");
  });

  test("calls in the order they were made", async () => {
    const broker = await brokerWith({ subjects: ["p.order"] });
    const published = await Promise.all([
      broker.publish([draft("p.order")]),
      broker.publish([draft("q"), draft("p.order")]),
      broker.publish([draft("p.order")]),
    ]);
    expect(published.map(outcomes)).toEqual([[1], ["permission_denied", 2], [3]]);
  });

  test("a transport may ask before it takes in a large body", async () => {
    const principal = await principalWith({ subjects: ["p.>"] });
    expect(principal.publishRefusal(parseSubject("p.x"))).toBeUndefined();
    clock.advance(1000);
    expect(principal.publishRefusal(parseSubject("q"))?.code).toBe("permission_denied");
    expect(lines.at(-1)).toMatchObject({ verb: "publish", subject: "q", outcome: "permission_denied" });
  });
});

describe("subscribe", () => {
  test.each([
    ["a.*", ["a.>"], [], "ok"],
    ["a.>", ["a.>"], ["b.>"], "ok"],
    ["a.>", ["a.*"], [], "permission_denied"],
    [">", ["a.>"], [], "permission_denied"],
    ["*.b", ["a.>"], [], "permission_denied"],
    ["*", ["*"], [], "ok"],
    [">", ["*"], [], "ok"],
    ["a.*", ["a.>"], ["a.secret"], "permission_denied"],
    ["a.*", ["a.>"], ["*.secret.>"], "ok"],
    ["a.>", ["a.>"], ["*.secret.>"], "permission_denied"],
    ["a.>", ["a.*", "a.*.>"], [], "permission_denied"],
  ])("%s with %j and not %j: %s", async (filter, subjects, deny, expected) => {
    const broker = await brokerWith({ subjects, deny });
    expect(await codeOf(subscribe(broker, filter).then((subscription) => subscription.close()))).toBe(expected);
  });

  test("what is granted comes, stored and live", async () => {
    const broker = await brokerWith({ subjects: ["s.>"] });
    await stream.publish([draft("s.a"), draft("t.a")]);
    const ear = new Ear();
    const subscription = await subscribe(broker, "s.*", ear, "first");
    await ear.hears(1);
    await stream.publish([draft("s.b"), draft("t.b")]);
    expect([...(await ear.hears(2))].sort()).toEqual(["s.a 1", "s.b 1"]);
    subscription.close();
  });
});

describe("dead letters", () => {
  const deadLetter = parseSubject("dl.dead");
  const letting = { ...config, maxDeliver: 1, deadLetter };
  const redrive = (broker: Broker, subject: Subject) =>
    broker.redrive({ subject, consumer: name, limit: 10, perSecond: Number.POSITIVE_INFINITY });

  test.each([
    ["both", { subjects: ["dl.*"] }, "ok"],
    ["not theirs", { subjects: ["dl.orders"] }, "permission_denied"],
    ["theirs denied", { subjects: ["dl.*"], deny: ["dl.dead"] }, "permission_denied"],
    ["no right to publish", { subjects: ["dl.*"], permissions: ["fetch", "subscribe"] }, "permission_denied"],
    ["not the consumer's", { subjects: ["dl.dead"] }, "permission_denied"],
    ["publish alone", { subjects: ["dl.*"], permissions: ["publish"] }, "permission_denied"],
  ])("a consumer that writes to their subject needs the right to: %s", async (_, rights, expected) => {
    const subject = parseSubject("dl.orders");
    await stream.deleteConsumer(subject, name).catch(() => undefined);
    const broker = await brokerWith(rights);
    expect(await codeOf(broker.putConsumer(subject, name, letting))).toBe(expected);
    expect(await codeOf(stream.consumer(subject, name))).toBe(expected === "ok" ? "ok" : "consumer_not_found");
  });

  test.each([
    ["both", { subjects: ["dl.*"] }, "ok"],
    ["reading is enough", { subjects: ["dl.*"], permissions: ["fetch"] }, "ok"],
    ["not theirs", { subjects: ["dl.again"] }, "permission_denied"],
    ["not to be read", { subjects: ["dl.*"], permissions: ["subscribe"] }, "permission_denied"],
    ["not the consumer's", { subjects: ["dl.dead"] }, "permission_denied"],
    ["publish alone", { subjects: ["dl.*"], permissions: ["publish"] }, "permission_denied"],
  ])("sending them back needs the right to read them: %s", async (_, rights, expected) => {
    const subject = parseSubject("dl.again");
    await stream.putConsumer(subject, name, letting);
    expect(await codeOf(redrive(await brokerWith(rights), subject))).toBe(expected);
  });

  test("a signed address is its own right", async () => {
    const broker = await brokerWith({ permissions: [], subjects: [] });
    const { requests } = await stream.openUpload({ subject: deadLetter, length: 1, sha256: new Uint8Array(32) }, false);
    const token = requests[0]?.url.split("/").at(-1) ?? "";
    expect(await codeOf(broker.receiveUpload(token, bytes()))).toBe("upload_mismatch");
    expect(await codeOf(broker.receiveUpload("forged", bytes()))).toBe("permission_denied");
    expect(await codeOf(broker.signedBody(token))).toBe("permission_denied");
  });
});

describe("listing", () => {
  const list = async (broker: Broker, filter: string, limit: number): Promise<readonly string[]> => {
    const found: string[] = [];
    let after: string | undefined;
    for (;;) {
      const page = await broker.subjects({ filter: parseFilter(filter), after, limit });
      expect(page.subjects.length).toBeLessThanOrEqual(limit);
      if (page.hasMore) expect(page.subjects).toHaveLength(limit);
      found.push(...page.subjects.map(({ subject }) => subject));
      after = found.at(-1);
      if (!page.hasMore) return found;
    }
  };

  beforeAll(async () => {
    const names = ["a", "b", "-", "~", "é"].flatMap((word) => [
      `l.${word}`,
      ...["x", "y", "z.1", "z.2"].map((tail) => `l.${word}.${tail}`),
    ]);
    for (let n = 0; n < 40; n++) names.push(`l.m.${n}`);
    await stream.publish(names.map((subject) => draft(subject)));
  });

  test.each([
    [["l.>"], []],
    [["*"], []],
    [["l.a.>", "l.a.*", "l.a"], []],
    [["l.é.>", "l.-", "l.b.z.*", "l.nobody"], []],
    [["*.*.x", "l.a.>", "*.b.>"], ["l.a.z.>"]],
    [["l.>"], ["l.m.>"]],
    [["l.>"], ["l.m.>", "*.*.x", "l.b.>"]],
    [["l.>"], [">"]],
    [["l.*"], ["l.b", "l.~"]],
    [["l.m.1", "l.m.2", "l.m.3", "l.m.39"], ["l.m.2"]],
    [[], []],
  ])("%j without %j: exactly those, in order, page by page", async (subjects, deny) => {
    const broker = await brokerWith({ subjects, deny });
    const everything = (await list(stream, "l.>", 10_000)) as readonly Subject[];
    const may = (filters: readonly string[], subject: Subject): boolean =>
      filters.some((filter) => new RegExp(`^${patternOf(filter)}$`).test(subject));
    for (const filter of ["l.>", "l.*.*", "*.a.>", "l.m.1", "l.m.*"]) {
      const expected = everything.filter(
        (subject) => may([filter], subject) && may(subjects, subject) && !may(deny, subject),
      );
      for (const limit of [1, 3, 7, 1000]) expect(await list(broker, filter, limit)).toEqual(expected);
    }
  });

  /** A filter as a pattern, written independently of the code. */
  const patternOf = (filter: string): string =>
    filter === "*"
      ? ".+"
      : filter
          .split(".")
          .map((token) => (token === "*" ? "[^.]+" : token === ">" ? ".+" : token))
          .join("\\.");

  test("without any permission nothing is there", async () => {
    expect(await list(await brokerWith({ permissions: [] }), ">", 100)).toEqual([]);
    expect(await list(await brokerWith({ permissions: ["publish"], subjects: ["l.a"] }), ">", 100)).toEqual(["l.a"]);
  });

  test("what is denied by its beginning is skipped, not read", async () => {
    let rows = 0;
    const counting: Broker = Object.create(stream, {
      subjects: {
        value: async (query: Parameters<Broker["subjects"]>[0]) => {
          const page = await stream.subjects(query);
          rows += page.subjects.length;
          return page;
        },
      },
    });
    const own = createAuthenticator({
      auth: { kind: "jwt", algorithms: ["HS256"], issuer, audience, key: { kind: "secret", secret } },
      broker: counting,
      audit: "off",
      log: { info: () => undefined, warn: () => undefined },
    });
    const claims = { allowed_subjects: ["l.>"], deny_subjects: ["l.m.>"] };
    const { broker } = await own.authenticate(await signWithSecret(secret, claims));
    await broker.subjects({ filter: parseFilter("l.>"), after: "l.b.z.2", limit: 3 });
    expect(rows).toBeLessThan(12);
  });
});

describe("expiry", () => {
  test("every verb is refused from then on", async () => {
    const subject = await prepared("e.verbs");
    const broker = await brokerWith({ seconds: 2, admin: true });
    expect(await answers(broker, subject)).toEqual(Object.keys(verbs));
    clock.advance(2000);
    expect(await answers(broker, subject)).toEqual(Object.keys(verbs).map((verb) => `${verb}: token_expired`));
    expect(await codeOf(broker.subjects({ filter: parseFilter(">"), limit: 1 }))).toBe("token_expired");
  });

  test("running subscriptions end, and one timer stands for all of them", async () => {
    const broker = await brokerWith({ seconds: 2 });
    const ears = Array.from({ length: 20 }, () => new Ear());
    const before = clock.waiting.size;
    for (const ear of ears) await subscribe(broker, "e.live", ear);
    expect(clock.waiting.size).toBe(before + 1);
    clock.advance(1000);
    await stream.publish([draft("e.live")]);
    for (const ear of ears) expect(await ear.hears(1)).toEqual(["e.live 1"]);
    clock.advance(1000);
    for (const ear of ears) expect(await ear.end.promise).toBe("token_expired");
    await stream.publish([draft("e.live")]);
    for (const ear of ears) expect(ear.heard).toEqual(["e.live 1"]);
  });

  test("a subscription that ended by itself is not ended twice, and no timer is left", async () => {
    const broker = await brokerWith({ seconds: 2 });
    const before = clock.waiting.size;
    const subject = await prepared("e.gone");
    const ear = new Ear();
    await broker.subscribe(
      { filter: parseFilter(subject), from: { kind: "new" }, mode: "messages", consumer: name, credit: 1 },
      ear,
    );
    await stream.deleteConsumer(subject, name);
    expect(await ear.end.promise).toBe("consumer_not_found");
    (await subscribe(broker, "e.gone")).close();
    expect(clock.waiting.size).toBe(before);
  });

  test.each(["read", "readEnvelopes", "fetch"] as const)("a long poll (%s) under way is ended", async (verb) => {
    const broker = await brokerWith({ seconds: 2 });
    const subject = parseSubject(`e.poll.${verb.toLowerCase()}`);
    const poll =
      verb === "fetch" ? broker.fetch(fetchRequest(subject, 60_000)) : broker[verb](readRequest(subject, 60_000));
    const code = codeOf(poll);
    clock.advance(2000);
    expect(await code).toBe("token_expired");
  });

  test("a long poll that finds something answers it, and one whose client goes just ends", async () => {
    const broker = await brokerWith();
    const subject = parseSubject("e.poll.found");
    const poll = broker.read(readRequest(subject, 60_000));
    await stream.publish([draft(subject)]);
    expect((await poll).messages).toHaveLength(1);
    const client = new AbortController();
    const waiting = broker.read({ ...readRequest(subject, 60_000), from: { kind: "new" } }, client.signal);
    client.abort();
    expect((await waiting).messages).toHaveLength(0);
  });

  test("a newer token of the connection takes subscriptions over, as far as it reaches", async () => {
    const old = await principalWith({ seconds: 2, subjects: ["n.>"] });
    const young = await principalWith({ seconds: 100, subjects: ["n.kept"] });
    const [kept, lost] = [new Ear(), new Ear()];
    const subscriptions = [await subscribe(old.broker, "n.kept", kept), await subscribe(old.broker, "n.lost", lost)];
    for (const subscription of subscriptions) young.adopt(subscription);
    expect(await lost.end.promise).toBe("permission_denied");
    clock.advance(50_000);
    await stream.publish([draft("n.kept")]);
    expect(await kept.hears(1)).toEqual(["n.kept 1"]);
    clock.advance(50_000);
    expect(await kept.end.promise).toBe("token_expired");
  });
});

describe("the audit log", () => {
  test("names client, verb and subject of changes and refusals, and nothing else of them", async () => {
    const subject = await prepared("audit.x");
    const broker = await brokerWith({ admin: true, subjects: ["audit.>"] });
    lines.length = 0;
    await answers(broker, subject);
    expect(lines.map(({ verb, consumer, outcome }) => [verb, consumer, outcome])).toEqual([
      ["subscribe", undefined, "ok"],
      ["put_consumer", "own", "ok"],
      ["delete_consumer", "own", "ok"],
      ["purge", undefined, "ok"],
    ]);
    for (const line of lines) {
      expect(line).toMatchObject({ event: "audit", client: "tester", subject: "audit.x" });
      expect(Object.keys(line).sort()).toEqual(["client", "consumer", "event", "outcome", "subject", "verb"]);
    }
    lines.length = 0;
    clock.advance(1000);
    expect(await codeOf(broker.read(readRequest(parseSubject("elsewhere"))))).toBe("permission_denied");
    expect(lines).toMatchObject([{ verb: "read", subject: "elsewhere", outcome: "permission_denied" }]);
  });
});

test("nobody stops the server by its broker", async () => {
  expect(await codeOf((await brokerWith({ admin: true })).drain())).toBe("permission_denied");
});
