/**
 * What the application actor of a history must have come to, by the promises alone: each message that it was fed counts
 * once and in order within its subject; state, rows, position and what it published go together; a message that was
 * deleted before it was reached is not fed, and no other is left out; what a rebuild leaves out was deleted meanwhile.
 * @module
 */
import type { ActorView, ViewedMessage } from "./actor-view.ts";
import { type BodySeed, type ModelSubject, makeBody } from "./model.ts";
import {
  bodyChecksumOf,
  checksumAfter,
  isPoison,
  isTold,
  type SeenRow,
  type SeenSubject,
  seenAttempts,
} from "./seen.ts";

/** What a history knows of a message: the body that it was published with. @throws Error when it is elsewhere */
export type KnownBody = (subject: ModelSubject, sequence: number, number: number) => BodySeed;

/** One subject as the actor has seen it. */
interface SeenMessages {
  /** Ascending by sequence. */
  readonly rows: readonly (SeenRow & { readonly sequence: number })[];
  readonly through: number;
  readonly effectsThrough: number;
}

/** See the module. */
export class SeenModel {
  readonly #knownBody: KnownBody;
  readonly #bodyChecksums = new Map<number, number>();
  #last: ActorView | undefined;

  constructor(knownBody: KnownBody) {
    this.#knownBody = knownBody;
  }

  /** Compares with what is stored; the subjects have just been compared. @throws Error */
  compare(view: ActorView, subjects: readonly ModelSubject[]): void {
    for (const subject of subjects) {
      const seen = seenOf(view, subject.name);
      this.#compareRows(subject, seen);
      compareState(view, subject.name, seen);
      compareStored(subject, seen);
      compareTold(view, subject.name, seen);
      compareFailed(view, subject, seen);
      if (this.#last !== undefined) compareEarlier(subject.name, this.#last, view);
    }
    const of = new Set(subjects.map(({ name }) => name));
    const stray = [...view.told, ...view.failed].find((message) => !of.has(sourceOf(message).subject));
    if (stray !== undefined) throw new Error(`the actor published ${JSON.stringify(stray.headers)}`);
    this.#last = view;
  }

  /** Every row is that of a message as it was published, once, in order, on top of the one before. */
  #compareRows(subject: ModelSubject, { rows, through }: SeenMessages): void {
    let [count, checksum, last] = [0, 0, 0];
    for (const row of rows) {
      const where = `the actor's row of ${subject.name} ${row.sequence}`;
      const body = this.#knownBody(subject, row.sequence, row.number);
      if (isPoison(row.number)) throw new Error(`${where} is of a message that it always fails on`);
      const expected = {
        before: checksum,
        count: count + 1,
        checksum: checksumAfter(checksum, row.sequence, this.#checksumOf(row.number, body)),
      };
      const { before } = row;
      if (row.count !== expected.count || row.checksum !== expected.checksum || before !== expected.before) {
        throw new Error(`${where} is ${JSON.stringify(row)}, not ${JSON.stringify(expected)}`);
      }
      [count, checksum, last] = [row.count, row.checksum, row.sequence];
    }
    if (last > through) throw new Error(`the actor is at ${subject.name} ${through}, and has seen ${last}`);
  }

  #checksumOf(number: number, body: BodySeed): number {
    const known = this.#bodyChecksums.get(number);
    if (known !== undefined) return known;
    const made = bodyChecksumOf(makeBody(body));
    this.#bodyChecksums.set(number, made);
    return made;
  }
}

const seenOf = ({ rows, positions }: ActorView, name: string): SeenMessages => {
  const own = rows.filter(({ key }) => key.startsWith(`${name}/`));
  const { through = 0, effectsThrough = 0 } = positions.find(({ subject }) => subject === name) ?? {};
  return {
    rows: own.map(({ key, value }) => ({ ...(value as SeenRow), sequence: Number(key.slice(name.length + 1)) })),
    through,
    effectsThrough,
  };
};

/** Its state is that after the last row. */
const compareState = ({ state }: ActorView, name: string, { rows }: SeenMessages): void => {
  const { subjects } = (state ?? { subjects: {} }) as { readonly subjects: Readonly<Record<string, SeenSubject>> };
  const found = subjects[name];
  const last = rows.at(-1);
  const isSame = found?.count === last?.count && found?.checksum === last?.checksum && found?.last === last?.sequence;
  if (!isSame) {
    throw new Error(`the actor's state of ${name} is ${JSON.stringify(found)}, its rows say ${JSON.stringify(last)}`);
  }
};

/** What is stored up to its position was fed. */
const compareStored = ({ name, stored }: ModelSubject, { rows, through }: SeenMessages): void => {
  const seen = new Set(rows.map(({ sequence }) => sequence));
  for (const [sequence, { number }] of stored) {
    if (sequence <= through && !seen.has(sequence) && !isPoison(number)) {
      throw new Error(`the actor is at ${name} ${through}, and was never fed ${sequence} (#${number})`);
    }
  }
};

/** Every third of what it was fed is told of, once and in order, and nothing else. */
const compareTold = ({ told }: ActorView, name: string, seen: SeenMessages): void => {
  const { rows, through, effectsThrough } = seen;
  const fed = new Set(rows.map(({ sequence }) => sequence));
  const found = new Set<number>();
  let last = 0;
  for (const message of told) {
    const { subject, sequence } = sourceOf(message);
    if (subject !== name) continue;
    const where = `the actor told of ${name} ${sequence}`;
    if (sequence <= last) throw new Error(`${where} after ${last}`);
    if (!isTold(sequence)) throw new Error(`${where}, which is no third`);
    if (sequence > Math.max(through, effectsThrough)) throw new Error(`${where}, and is at ${through} only`);
    if (sequence > effectsThrough && !fed.has(sequence)) throw new Error(`${where}, and never saw it`);
    found.add(sequence);
    last = sequence;
  }
  const missing = rows.find(({ sequence }) => isTold(sequence) && !found.has(sequence));
  if (missing !== undefined) throw new Error(`the actor did not tell of ${name} ${missing.sequence}`);
};

/** What it always fails on is among its dead letters, once, and nothing else. */
const compareFailed = ({ failed }: ActorView, { name, stored }: ModelSubject, seen: SeenMessages): void => {
  const { through, effectsThrough } = seen;
  const found = new Set<number>();
  for (const message of failed) {
    const { subject, sequence } = sourceOf(message);
    if (subject !== name) continue;
    const where = `the actor gave up ${name} ${sequence}`;
    if (found.has(sequence)) throw new Error(`${where} twice`);
    if (!isPoison(Number(message.headers["number"]))) throw new Error(`${where}, which does not fail`);
    if (message.headers["dead-letter-deliveries"] !== String(seenAttempts)) {
      throw new Error(`${where} after ${message.headers["dead-letter-deliveries"]} attempts`);
    }
    if (sequence > Math.max(through, effectsThrough)) throw new Error(`${where}, and is at ${through} only`);
    found.add(sequence);
  }
  for (const [sequence, { number }] of stored) {
    if (sequence <= through && isPoison(number) && !found.has(sequence)) {
      throw new Error(`the actor is at ${name} ${through}, and never gave up ${sequence} (#${number})`);
    }
  }
};

/** It never goes back: rows of a generation stay as they are, what was published stays, a rebuild forgets no position. */
const compareEarlier = (name: string, before: ActorView, now: ActorView): void => {
  if (now.generation < before.generation) throw new Error(`the actor's generation went back to ${now.generation}`);
  const [earlier, later] = [seenOf(before, name), seenOf(now, name)];
  if (Math.max(later.through, later.effectsThrough) < Math.max(earlier.through, earlier.effectsThrough)) {
    throw new Error(`the actor forgot that it was at ${name} ${Math.max(earlier.through, earlier.effectsThrough)}`);
  }
  if (now.generation === before.generation) {
    if (later.through < earlier.through) throw new Error(`the actor went back to ${name} ${later.through}`);
    comparePrefix(`rows of ${name}`, earlier.rows, later.rows);
  }
  comparePrefix(thirds, before.told, now.told);
  comparePrefix(letters, before.failed, now.failed);
};

const thirds = "what it told";
const letters = "what it gave up";

/** What was there is still there, in the same places. @throws Error */
export const comparePrefix = (what: string, before: readonly unknown[], now: readonly unknown[]): void => {
  const changed = before.findIndex((each, index) => !Bun.deepEquals(each, now[index]));
  if (changed === -1) return;
  const [was, is] = [before[changed], now[changed]].map((each) => JSON.stringify(each));
  throw new Error(`the actor, ${what}: ${was} became ${is}`);
};

/** Of which message one was published. */
const sourceOf = ({ headers }: ViewedMessage): { readonly subject: string; readonly sequence: number } => ({
  subject: headers["dead-letter-subject"] ?? headers["subject"] ?? "",
  sequence: Number(headers["dead-letter-sequence"] ?? headers["sequence"]),
});

/**
 * After a rebuild nothing is different where nothing has gone.
 * @param subjects as they are after it
 */
export const compareRebuilt = (before: ActorView, after: ActorView, subjects: readonly ModelSubject[]): void => {
  if (after.generation <= before.generation) throw new Error(`the actor's generation is still ${after.generation}`);
  for (const { name, stored } of subjects) {
    const [was, is] = [seenOf(before, name), seenOf(after, name)];
    // Each of them has the count and the checksum of all before it.
    if (was.rows.every(({ sequence }) => stored.has(sequence)))
      comparePrefix(`rebuilt rows of ${name}`, was.rows, is.rows);
  }
};
