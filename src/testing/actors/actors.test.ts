/**
 * What an actor may rely on, in one process: order, state, table, publishes, failures, dead letters, alarms, rebuilds.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { defineActor, jsonRows } from "../../../actors/define.ts";
import { StreamError } from "../../core/errors.ts";
import { parseConsumerName } from "../../core/subject.ts";
import type { ActorStore, MetadataStore } from "../../metadata/contract.ts";
import { CollectingSink, draftOf, publishAll, stored, subscribeTo, textOf } from "../broker-rig.ts";
import { type ActorRig, startActorRig } from "./rig.ts";

/** Counts words: all of them in its state, each in its table, and tells how many of each it has seen. */
const wordCounter = () =>
  defineActor({
    name: "words",
    filter: "text.*",
    state: { words: 0 },
    rows: jsonRows<{ count: number }>(),
    async onMessage(message, { state, table, publish }) {
      const word = message.text();
      const count = ((await table.get(word))?.count ?? 0) + 1;
      table.put(word, { count });
      state.words++;
      publish({ subject: `counts.${word}`, data: String(count) });
    },
  });

const publishWords = (rig: ActorRig, subject: string, words: readonly string[]) =>
  publishAll(
    rig,
    words.map((word) => draftOf(subject, word)),
  );

const rowsOf = async ({ broker }: ActorRig, name: string): Promise<Record<string, unknown>> => {
  const rows = await broker.actorRows(parseConsumerName(name), { from: "", limit: 10_000 });
  return Object.fromEntries(rows.map(({ key, value }) => [key, JSON.parse(Buffer.from(value).toString("utf8"))]));
};

describe("feeding", () => {
  test("every message is handled once, also those from before it was there, over all subjects of the filter", async () => {
    await using rig = await startActorRig([wordCounter()]);
    await publishWords(rig, "text.a", ["x", "y", "x"]);
    await publishWords(rig, "text.b", ["x"]);
    await publishWords(rig, "other", ["x"]);
    const status = await rig.until("words", ({ lag }) => lag === 0);
    expect(status).toMatchObject({
      filter: "text.*",
      owner: "local",
      state: { words: 4 },
      positions: [
        { subject: "text.a", sequence: 3 },
        { subject: "text.b", sequence: 1 },
      ],
      restarts: 0,
      generation: 1,
      rebuilding: false,
      deadLetter: "actors.words.dead-letters",
    });
    expect(await rowsOf(rig, "words")).toEqual({ x: { count: 3 }, y: { count: 1 } });
    expect(textOf(await stored(rig, "counts.x"))).toEqual(["1", "2", "3"]);
  });

  test("what it publishes is pushed to subscribers of this node", async () => {
    await using rig = await startActorRig([wordCounter()]);
    const sink = new CollectingSink();
    await subscribeTo(rig, "counts.*", sink);
    await publishWords(rig, "text.a", ["x", "y"]);
    await rig.caughtUp("words");
    expect(textOf(await sink.count(2))).toEqual(["1", "1"]);
  });

  test("more messages than a step takes, and messages that were deleted", async () => {
    await using rig = await startActorRig([wordCounter()]);
    for (let round = 0; round < 3; round++) {
      await publishWords(
        rig,
        "text.many",
        Array.from({ length: 1500 }, (_, index) => `w${index % 7}`),
      );
    }
    const { state } = await rig.caughtUp("words");
    expect(state).toEqual({ words: 4500 });
    await publishWords(rig, "text.gone", ["x", "y"]);
    await rig.caughtUp("words");
    await rig.purge("text.gone", 2);
    await publishWords(rig, "text.gone", ["z"]);
    expect((await rig.caughtUp("words")).state).toEqual({ words: 4503 });
  });

  test("its table shows what it changed before, in byte order", async () => {
    const seen: unknown[] = [];
    const actor = defineActor({
      name: "lister",
      filter: "text",
      state: {},
      rows: jsonRows<number>(),
      async onMessage(message, { table }) {
        const key = message.text();
        if (key.startsWith("-")) table.delete(key.slice(1));
        else table.put(key, message.sequence);
        seen.push((await table.list({ from: "b", to: "e", limit: 2 })).map((row) => [row.key, row.value]));
      },
    });
    await using rig = await startActorRig([actor]);
    await publishWords(rig, "text", ["d", "a", "c", "b"]);
    await rig.caughtUp("lister");
    await publishWords(rig, "text", ["-c", "e", "bb"]);
    await rig.caughtUp("lister");
    expect(seen).toEqual([
      [["d", 1]],
      [["d", 1]],
      [
        ["c", 3],
        ["d", 1],
      ],
      [
        ["b", 4],
        ["c", 3],
      ],
      [
        ["b", 4],
        ["d", 1],
      ],
      [
        ["b", 4],
        ["d", 1],
      ],
      [
        ["b", 4],
        ["bb", 7],
      ],
    ]);
  });

  test("an actor that nobody defined is not there", async () => {
    await using rig = await startActorRig([]);
    expect(await rig.broker.actors()).toEqual([]);
    const name = parseConsumerName("nobody");
    const codeOf = (promise: Promise<unknown>) => promise.catch((error: unknown) => (error as StreamError).code);
    expect(await codeOf(rig.broker.actor(name))).toBe("actor_not_found");
    expect(await codeOf(rig.broker.rebuildActor(name))).toBe("actor_not_found");
    expect(await codeOf(rig.broker.actorRows(name, { from: "", limit: 1 }))).toBe("actor_not_found");
  });
});

describe("failing", () => {
  /** Fails on "bad" as often as it is told, and on what begins with "poison" always. */
  const failing = (handled: string[], failures: { left: number }) =>
    defineActor({
      name: "failing",
      filter: "text",
      state: { seen: [] as string[] },
      attemptsMax: 3,
      onMessage(message, { state, publish }) {
        const word = message.text();
        handled.push(word);
        state.seen.push(word);
        publish({ subject: "seen", data: word });
        if (word === "bad" && failures.left-- > 0) throw new Error("not now");
        if (word.startsWith("poison")) throw new Error(`never ${word}`);
      },
    });

  test("a message that fails is tried again, alone, and leaves nothing of its failures behind", async () => {
    const handled: string[] = [];
    await using rig = await startActorRig([failing(handled, { left: 2 })]);
    await publishWords(rig, "text", ["a", "b", "bad", "c"]);
    const status = await rig.caughtUp("failing");
    expect(status).toMatchObject({ state: { seen: ["a", "b", "bad", "c"] }, restarts: 2, lastError: "not now" });
    expect(textOf(await stored(rig, "seen"))).toEqual(["a", "b", "bad", "c"]);
    expect(handled).toEqual(["a", "b", "bad", "a", "b", "bad", "bad", "c"]);
  });

  test("it waits longer from failure to failure", async () => {
    await using rig = await startActorRig([failing([], { left: 2 })]);
    await publishWords(rig, "text", ["bad"]);
    const begunMs = rig.clock.nowMs;
    await rig.until("failing", ({ status, restarts }) => restarts === 1 && status === "backing_off");
    await rig.until("failing", ({ restarts }) => restarts === 2);
    expect(rig.clock.nowMs - begunMs).toBeGreaterThanOrEqual(100);
    await rig.caughtUp("failing");
    expect(rig.clock.nowMs - begunMs).toBeGreaterThanOrEqual(300);
  });

  test("a message that keeps failing goes to the dead letters", async () => {
    await using rig = await startActorRig([failing([], { left: 0 })]);
    await publishAll(rig, [
      draftOf("text", "a"),
      draftOf("text", "poison", { headers: { colour: "red" } }),
      draftOf("text", "b"),
    ]);
    const status = await rig.caughtUp("failing");
    expect(status).toMatchObject({ state: { seen: ["a", "b"] }, restarts: 3, lastError: "never poison" });
    const [letter, ...others] = await stored(rig, "actors.failing.dead-letters");
    expect(others).toEqual([]);
    expect(Buffer.from(letter?.body ?? []).toString("utf8")).toBe("poison");
    expect(letter?.headers).toMatchObject({
      colour: "red",
      "dead-letter-reason": "max_deliver",
      "dead-letter-consumer": "failing",
      "dead-letter-subject": "text",
      "dead-letter-sequence": "2",
      "dead-letter-deliveries": "3",
      "dead-letter-error": "never poison",
    });
    expect(rig.logged.filter(({ event }) => event === "actor_failed")).toHaveLength(3);
    expect(rig.logged.filter(({ event }) => event === "actor_gave_up")).toHaveLength(1);
  });

  test("a state that has grown too large is the fault of the message that made it so", async () => {
    const actor = defineActor({
      name: "hoarder",
      filter: "text",
      state: { words: [] as string[] },
      attemptsMax: 2,
      onMessage(message, { state }) {
        state.words.push(message.text() === "big" ? "x".repeat(1024 * 1024) : message.text());
      },
    });
    await using rig = await startActorRig([actor]);
    await publishWords(rig, "text", ["a", "b", "big", "c"]);
    expect((await rig.caughtUp("hoarder")).state).toEqual({ words: ["a", "b", "c"] });
    expect(await stored(rig, "actors.hoarder.dead-letters")).toHaveLength(1);
  });

  test("a subject without room is waited for, whole", async () => {
    await using rig = await startActorRig([wordCounter()]);
    const policy = { filter: "counts.x", maxMessages: 1 };
    await rig.metadata.putPolicy(policy.filter as never, {
      maxAgeMs: null,
      maxMessages: 1,
      maxBytes: null,
      discard: "new",
      retain: "limits",
      recipients: null,
      recipientTimeoutMs: null,
    });
    await publishWords(rig, "text.a", ["x"]);
    await rig.caughtUp("words");
    await publishWords(rig, "text.a", ["y", "x"]);
    const waiting = await rig.until("words", ({ restarts }) => restarts === 1);
    expect(waiting).toMatchObject({ lag: 2, state: { words: 1 } });
    expect(waiting.lastError).toContain("subject_full");
    expect(await stored(rig, "counts.y")).toEqual([]);
    await rig.purge("counts.x", 1);
    expect(await rig.caughtUp("words")).toMatchObject({ state: { words: 3 } });
    expect(textOf(await stored(rig, "counts.x"))).toEqual(["2"]);
  });

  test("what a handler does after it has ended comes to nothing", async () => {
    const late = Promise.withResolvers<unknown>();
    const actor = defineActor({
      name: "late",
      filter: "text",
      state: {},
      onMessage(_, { publish }) {
        setTimeout(() => {
          try {
            publish({ subject: "late", data: "x" });
            late.resolve("published");
          } catch (error) {
            late.resolve(error);
          }
        }, 0);
      },
    });
    await using rig = await startActorRig([actor]);
    await publishWords(rig, "text", ["a"]);
    await rig.caughtUp("late");
    expect(await late.promise).toBeInstanceOf(Error);
    expect(await stored(rig, "late")).toEqual([]);
  });
});

/** A store whose commits of actors fail as told: `lost` commits and loses the answer, `refused` does nothing. */
const unreliable =
  (plan: ("lost" | "refused" | "fine")[]) =>
  (metadata: MetadataStore): MetadataStore => {
    const { actors } = metadata;
    const commit: ActorStore["commit"] = async (request) => {
      const fate = plan.shift() ?? "fine";
      if (fate === "refused") throw new StreamError("unavailable", "The store does not answer.");
      const outcome = await actors.commit(request);
      if (fate === "lost") throw new StreamError("outcome_unknown", "The answer did not come.");
      return outcome;
    };
    const wrapped = new Proxy(actors, {
      get: (target, key) => {
        if (key === "commit") return commit;
        const value: unknown = Reflect.get(target, key);
        return typeof value === "function" ? (value as (...all: unknown[]) => unknown).bind(target) : value;
      },
    });
    return new Proxy(metadata, {
      get: (target, key) => {
        if (key === "actors") return wrapped;
        const value: unknown = Reflect.get(target, key);
        return typeof value === "function" ? (value as (...all: unknown[]) => unknown).bind(target) : value;
      },
    });
  };

describe("a store that does not answer", () => {
  test("a step whose outcome is unknown is stored once", async () => {
    const fates = unreliable(["lost", "refused", "lost", "lost", "fine", "refused", "lost"]);
    await using rig = await startActorRig([wordCounter()], fates);
    for (let round = 0; round < 4; round++) {
      await publishWords(rig, "text.a", ["x", "x"]);
      await rig.caughtUp("words");
    }
    expect(await rowsOf(rig, "words")).toEqual({ x: { count: 8 } });
    expect(textOf(await stored(rig, "counts.x"))).toEqual(["1", "2", "3", "4", "5", "6", "7", "8"]);
    expect((await rig.broker.actor(parseConsumerName("words"))).state).toEqual({ words: 8 });
  });
});

describe("the alarm", () => {
  /** Says what came within a second, a second after the first of it. */
  const collector = () =>
    defineActor({
      name: "collector",
      filter: "text",
      state: { since: null as number | null, words: [] as string[] },
      onMessage(message, { state, setAlarm, now }) {
        if (state.since === null) setAlarm(now + 1000);
        state.since ??= now;
        state.words.push(message.text());
      },
      onAlarm({ state, publish, now }) {
        publish({ subject: "collected", data: { words: state.words, took: now - (state.since ?? now) } });
        state.since = null;
        state.words = [];
      },
    });

  test("rings once at its time, and what it does is stored like all else", async () => {
    await using rig = await startActorRig([collector()]);
    await publishWords(rig, "text", ["a", "b"]);
    const { alarmAtMs } = await rig.until("collector", ({ lag }) => lag === 0);
    expect(alarmAtMs).not.toBeNull();
    const { state } = await rig.until("collector", (status) => status.alarmAtMs === null);
    expect(state).toEqual({ since: null, words: [] });
    expect(rig.clock.nowMs).toBeGreaterThanOrEqual(alarmAtMs ?? 0);
    const [collected] = await stored(rig, "collected");
    expect(JSON.parse(textOf([...(await stored(rig, "collected"))])[0] ?? "")).toEqual({
      words: ["a", "b"],
      took: 1000,
    });
    expect(collected?.headers).toEqual({ "content-type": "application/json" });
  });

  test("in a rebuild it rings between the same messages, and publishes nothing again", async () => {
    await using rig = await startActorRig([collector()]);
    for (const word of ["a", "b", "c"]) {
      await publishWords(rig, "text", [word]);
      await rig.until("collector", ({ lag, alarmAtMs }) => lag === 0 && alarmAtMs === null);
      rig.clock.advance(500);
    }
    const before = textOf(await stored(rig, "collected"));
    expect(before).toHaveLength(3);
    await rig.broker.rebuildActor(parseConsumerName("collector"));
    const status = await rig.until(
      "collector",
      ({ lag, alarmAtMs, rebuilding }) => lag === 0 && alarmAtMs === null && !rebuilding,
    );
    expect(status).toMatchObject({ generation: 2, state: { since: null, words: [] } });
    expect(textOf(await stored(rig, "collected"))).toEqual(before);
    await publishWords(rig, "text", ["d"]);
    await rig.until("collector", ({ lag, alarmAtMs }) => lag === 0 && alarmAtMs === null);
    expect(textOf(await stored(rig, "collected"))).toHaveLength(4);
  });
});

describe("a rebuild", () => {
  test("comes to the same, publishes nothing again, and goes on with what is new", async () => {
    await using rig = await startActorRig([wordCounter()]);
    const words = Array.from({ length: 2500 }, (_, index) => `w${(index * 7) % 11}`);
    await publishWords(rig, "text.a", words);
    const before = await rig.caughtUp("words");
    const rows = await rowsOf(rig, "words");
    const rebuilt = await rig.broker.rebuildActor(parseConsumerName("words"));
    expect(rebuilt).toMatchObject({ generation: 2, rebuilding: true, lag: 2500, state: { words: 0 } });
    // Published while it is under way.
    await publishWords(rig, "text.a", ["new"]);
    const after = await rig.until("words", ({ lag, rebuilding }) => lag === 0 && !rebuilding);
    expect(after.state).toEqual({ words: 2501 });
    expect(before.state).toEqual({ words: 2500 });
    expect(await rowsOf(rig, "words")).toEqual({ ...rows, new: { count: 1 } });
    expect(textOf(await stored(rig, "counts.w0")).length).toBe(words.filter((word) => word === "w0").length);
    expect(textOf(await stored(rig, "counts.new"))).toEqual(["1"]);
  });
});
