/**
 * A history: steps by chance from a seed, played on a world and on a model, which have to agree. Served bytes are
 * compared always, what is stored after every step on its subject and at checkpoints as a whole.
 * @module
 */
import { keepEverything, type RetentionPolicy, samePolicy } from "../../core/policy.ts";
import { parseConsumerName } from "../../core/subject.ts";
import { SeededRandom } from "../faults/random.ts";
import { ActorPlay } from "./actor-play.ts";
import { type BodySeed, type ModelMessage, ModelSubject, makeBody } from "./model.ts";
import type { World, WorldDraft, WorldMessage, WorldSubject } from "./world.ts";

/** What to play. */
export interface HistoryOptions {
  readonly seed: number;
  readonly steps: number;
  /** Deaths by chance between. */
  readonly crashes: boolean;
  /** Told what is going to happen, a line each. */
  readonly onStep?: ((line: string) => void) | undefined;
}

/** What was played. */
export interface History {
  readonly published: number;
  readonly deaths: number;
}

/** The history went another way than the promises; the message names the seed and the last steps. */
export class HistoryError extends Error {
  override readonly name = "HistoryError";
}

const KiB = 1024;
/** Steps between two looks at everything. */
const checkpointSteps = 25;
/** Where time runs, what the upkeep of a server does is waited for so long. */
const untilMsMax = 20_000;
const lookMs = 10;
const linesMax = 25;

const limits = "limits";
const acked = "acked";
const work = "work";
const dead = "work.dead";
const flaky = "flaky";
/** Nobody outlives it. */
const longMs = 24 * 60 * 60 * 1000;

/** Plays one. @throws HistoryError */
export const playHistory = async (world: World, options: HistoryOptions): Promise<History> => {
  const play = new Play(world, options);
  try {
    return await play.run();
  } catch (error) {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const last = play.lines.slice(-linesMax).map((line) => `  ${line}\n`);
    throw new HistoryError(`seed ${options.seed}, steps ${options.steps}:\n${last.join("")}${reason}`, {
      cause: error,
    });
  }
};

class Play {
  readonly lines: string[] = [];
  readonly #world: World;
  readonly #options: HistoryOptions;
  readonly #random: SeededRandom;
  /** The application actor's part, where one runs. */
  readonly #actor: ActorPlay | undefined;
  readonly #subjects = {
    [limits]: new ModelSubject(limits, ["a", "all"]),
    [acked]: new ModelSubject(acked, ["a", "b", "all"]),
    [work]: new ModelSubject(work, ["a", flaky]),
  };
  /** Every body that was ever published, by its number. */
  readonly #bodies = new Map<number, BodySeed>();
  /** Where each was committed, and where it was sent back to as a dead letter, ascending. */
  readonly #places = new Map<number, string[]>();
  /** Numbers of those that live for a moment, where time runs. */
  readonly #fleeting = new Set<number>();
  /** Sequences of `work` that were given up for certain. */
  readonly #givenUp = new Set<number>();
  /** Sequences of `work` whose dead letters were sent back. */
  readonly #redriven = new Set<number>();
  /** Dead letters are being sent back, or may be in places that were not looked at yet. */
  #isRedriving = false;
  #number = 0;

  constructor(world: World, options: HistoryOptions) {
    this.#world = world;
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
    const { actors } = world;
    this.#actor =
      actors &&
      new ActorPlay({
        ...{ world, actors, seed: options.seed, crashes: options.crashes },
        subjects: Object.values(this.#subjects),
        knownBody: (subject, sequence, number) => this.#placed(subject, sequence, number),
        say: (line) => this.#say(line),
        compareAll: () => this.#compareAll(),
      });
  }

  async run(): Promise<History> {
    for (const subject of Object.values(this.#subjects)) {
      for (const name of subject.consumers) {
        await this.#world.addConsumer({ subject: subject.name, name, ...(name === flaky && { deadLetter: dead }) });
        subject.signed(name, this.#world.nowMs());
      }
    }
    for (let step = 1; step <= this.#options.steps; step++) {
      if (this.#options.crashes && this.#chance(20)) {
        const boundaries = this.#integer(1, 40);
        this.#say(`dies after ${boundaries}`);
        this.#world.crashSoon(boundaries);
      }
      await this.#step();
      await this.#actor?.step();
      if (step % checkpointSteps === 0) await this.#checkpoint();
    }
    if (this.#options.steps % checkpointSteps !== 0) await this.#checkpoint();
    return { published: this.#number, deaths: this.#world.deaths };
  }

  async #step(): Promise<void> {
    const dice = this.#integer(0, 99);
    if (dice < 10 && this.#world.isTimed) return this.#advance();
    if (dice < 16) return this.#sweep();
    if (dice < 22) return this.#changePolicy();
    if (dice < 24) return this.#restart();
    if (dice < 26) return this.#leaveUpload();
    if (dice < 50) return this.#together();
    const subject = this.#pick(Object.values(this.#subjects));
    await this.#change(subject);
    await this.#compare(subject);
  }

  /** One change of one subject. */
  #change(subject: ModelSubject): Promise<void> {
    if (subject.name === work && this.#chance(10)) return this.#redrive(subject);
    const dice = this.#integer(0, 99);
    if (dice < 40) return this.#publish(subject);
    if (dice < 80) return this.#consume(subject, this.#pick(subject.consumers));
    if (dice < 92) return this.#readSome(subject);
    return this.#purge(subject);
  }

  /** A change of every subject, upkeep and readers, all at once. */
  async #together(): Promise<void> {
    this.#say("all at once:");
    const subjects = Object.values(this.#subjects);
    const readers = subjects.flatMap((subject) => (this.#chance(50) ? [this.#readSome(subject)] : []));
    const upkeep = this.#chance(60) ? [this.#world.sweep()] : [];
    const working = this.#actor?.workSometimes() ?? Promise.resolve();
    const all = [...subjects.map((subject) => this.#change(subject)), ...readers, ...upkeep, working];
    // All of them end before anything is said about one.
    const ended = await Promise.allSettled(all);
    for (const each of ended) if (each.status === "rejected") throw each.reason;
    for (const subject of subjects) await this.#compare(subject);
  }

  async #publish(subject: ModelSubject): Promise<void> {
    const drafts = Array.from({ length: this.#integer(1, 8) }, () => this.#draft(subject));
    const shown = drafts.map(({ number, body, ttlMs, delayMs, byPointer = false }) => {
      const marks = [ttlMs && `ttl ${ttlMs}`, delayMs && `delay ${delayMs}`, byPointer && "by pointer"];
      return [`#${number}: ${body.length}`, ...marks.filter(Boolean)].join(" ");
    });
    this.#say(`${subject.name}: publishes ${shown.join(", ")}`);
    const outcomes = await this.#world.publish(drafts);
    for (const [index, { number, body, ttlMs, delayMs }] of drafts.entries()) {
      const outcome = outcomes[index];
      const seed = this.#bodyOf(number);
      if (outcome?.kind === "refused") {
        const isFull = subject.refuses(body.length) && outcome.code === "subject_full";
        if (!isFull) throw new Error(`#${number} was refused: ${outcome.code}`);
      } else if (outcome === undefined || subject.refuses(body.length)) {
        throw new Error(`#${number} was not refused: ${JSON.stringify(outcome)}`);
      } else if (delayMs !== undefined) {
        const dueAtMs = outcome.kind === "scheduled" ? outcome.dueAtMs : outcome.timestampMs;
        subject.delayed.set(number, { number, body: seed, dueAtMs, ttlMs });
      } else if (outcome.kind === "scheduled") {
        throw new Error(`#${number} was put aside`);
      } else {
        this.#committed(subject, outcome.sequence, number, outcome.timestampMs, ttlMs);
      }
    }
  }

  #committed(
    subject: ModelSubject,
    sequence: number,
    number: number,
    timestampMs: number,
    ttlMs: number | undefined,
  ): void {
    const place = `${subject.name}/${sequence}`;
    const [before = place] = this.#places.get(number) ?? [];
    if (before !== place) throw new Error(`#${number} is at ${place}, and was at ${before}`);
    this.#places.set(number, [place]);
    if (subject.stored.has(sequence)) throw new Error(`#${number} is at ${place}, where another one is`);
    const body = this.#bodyOf(number);
    const message: ModelMessage = { number, body, timestampMs, expiresAtMs: timestampMs + (ttlMs ?? Infinity) };
    subject.committed(sequence, message);
    // Where time runs, what lives for a moment is gone as far as anybody can say.
    if (this.#world.isTimed || ttlMs === undefined || ttlMs === longMs) return;
    this.#fleeting.add(number);
    subject.age(message.expiresAtMs);
  }

  #draft({ name }: ModelSubject): WorldDraft {
    const number = ++this.#number;
    const seed: BodySeed = { seed: number, length: this.#length(), isText: this.#chance(50) };
    this.#bodies.set(number, seed);
    const draft = { subject: name, number, body: makeBody(seed), byPointer: this.#chance(15) };
    // Only on one subject is it known where a delayed message lands.
    if (name === work && this.#chance(15)) {
      const isLong = this.#chance(20);
      const delayMs = isLong ? longMs : this.#world.isTimed ? this.#integer(1, 1500) : this.#integer(1, 20);
      return { ...draft, byPointer: false, delayMs, ...(this.#chance(30) && { ttlMs: longMs }) };
    }
    if (!this.#chance(30)) return draft;
    if (this.#world.isTimed) return { ...draft, ttlMs: this.#integer(1, 3000) };
    // With a limit it would matter when exactly it goes.
    return { ...draft, ttlMs: name === work && this.#chance(50) ? 1 : longMs };
  }

  #length(): number {
    const dice = this.#integer(0, 99);
    if (dice < 5) return 0;
    if (dice < 50) return this.#integer(1, 300);
    if (dice < 85) return this.#integer(1, 12 * KiB);
    if (dice < 97) return this.#integer(12 * KiB, 70 * KiB);
    return this.#integer(256 * KiB, 300 * KiB);
  }

  async #consume(subject: ModelSubject, consumer: string): Promise<void> {
    const settled = subject.settled.get(consumer) ?? new Set();
    if (consumer === "all") {
      const through = this.#integer(0, subject.last);
      this.#say(`${subject.name}: all acknowledges through ${through}`);
      await this.#world.ack(subject.name, consumer, through);
      subject.acked(consumer, upTo(through), this.#world.nowMs());
      return;
    }
    const limit = this.#integer(1, 10);
    const isGivingUp = consumer === flaky;
    const messages = await this.#world.fetch(subject.name, consumer, limit);
    subject.signed(consumer, this.#world.nowMs());
    const sequences = messages.map(({ sequence }) => sequence);
    this.#say(`${subject.name}: ${consumer} fetched ${sequences.join(" ")}`);
    for (const message of messages) {
      this.#served(subject, message);
      if (settled.has(message.sequence) && !this.#fleeting.has(Number(message.headers["number"]))) {
        throw new Error(`${subject.name}: ${consumer} got ${message.sequence}, which it has settled or which is gone`);
      }
    }
    if (isGivingUp) {
      this.#say(`${subject.name}: ${consumer} gives up`);
      await this.#world.nack(subject.name, consumer, sequences);
      for (const message of messages)
        if (!this.#fleeting.has(Number(message.headers["number"]))) this.#givenUp.add(message.sequence);
      return;
    }
    const mine = sequences.filter(() => this.#chance(60));
    const others = sequences.filter((sequence) => !mine.includes(sequence) && this.#chance(60));
    this.#say(`${subject.name}: ${consumer} acknowledges ${mine.join(" ")}, returns ${others.join(" ")}`);
    if (mine.length > 0) await this.#world.ack(subject.name, consumer, mine);
    subject.acked(consumer, mine, this.#world.nowMs());
    if (others.length > 0) await this.#world.nack(subject.name, consumer, others);
  }

  /** Dead letters are where they were or in their subject again, the oldest first, and never both. */
  async #redrive(subject: ModelSubject): Promise<void> {
    const limit = this.#integer(1, 6);
    this.#say(`${subject.name}: up to ${limit} dead letters are sent back`);
    const letters = (await this.#world.read(dead)).messages.map(letterSequence);
    const [known, deaths] = [this.#redriven.size, this.#world.deaths];
    this.#isRedriving = true;
    const answered = await this.#world.redrive(subject.name, flaky, limit);
    await this.#compare(subject);
    this.#isRedriving = false;
    const redriven = this.#redriven.size - known;
    this.#say(`${subject.name}: ${redriven} dead letters are back`);
    const isSame = this.#world.deaths === deaths;
    if (answered > limit || redriven < answered || (isSame && redriven > answered)) {
      throw new Error(`${redriven} dead letters were sent back, of ${limit}, and the answer was ${answered}`);
    }
    const count = letters.filter((sequence) => this.#redriven.has(sequence)).length;
    const first = letters.slice(0, count);
    const late = first.find((sequence) => !this.#redriven.has(sequence));
    if (late !== undefined) throw new Error(`the dead letter of ${late} was passed over`);
    // Which died with its answer has its letters in their places all the same.
    await this.#compareLetters();
  }

  async #readSome(subject: ModelSubject): Promise<void> {
    this.#say(`${subject.name}: is read`);
    for (const message of (await this.#world.read(subject.name)).messages) this.#served(subject, message);
    const known = [...subject.stored];
    if (known.length === 0) return;
    const [sequence, { body }] = this.#pick(known);
    // An empty body is stored nowhere, so nothing can point at it.
    if (body.length === 0) return;
    const followed = await this.#world.follow(subject.name, sequence);
    if (followed !== undefined && Buffer.compare(followed, makeBody(body)) !== 0) {
      throw new Error(`the address of ${subject.name} ${sequence} gives other bytes`);
    }
  }

  async #purge(subject: ModelSubject): Promise<void> {
    const first = subject.stored.keys().next().value ?? subject.last;
    const through = Math.min(subject.last, first + this.#integer(0, 5));
    this.#say(`${subject.name}: is purged through ${through}`);
    await this.#world.purge(subject.name, through);
    subject.purged(through);
  }

  async #changePolicy(): Promise<void> {
    const subject = this.#chance(50) ? this.#subjects[limits] : this.#subjects[acked];
    const policy = subject.name === limits ? this.#limitsPolicy() : this.#ackedPolicy();
    const isNone = samePolicy(policy, keepEverything);
    const { maxAgeMs, maxMessages, maxBytes, discard, recipients, recipientTimeoutMs } = policy;
    const limitsShown = { maxAgeMs, maxMessages, maxBytes, discard };
    this.#say(`${subject.name}: gets a policy ${JSON.stringify({ ...limitsShown, recipients, recipientTimeoutMs })}`);
    // What the one before does not keep is gone for good.
    await this.#sweepNow();
    await this.#compare(subject);
    await this.#world.putPolicy(subject.name, isNone ? null : policy);
    subject.policy = policy;
    subject.trim(this.#world.nowMs());
    await this.#sweepNow();
    await this.#compare(subject);
  }

  #limitsPolicy(): RetentionPolicy {
    const limits = {
      maxMessages: this.#chance(50) ? this.#integer(1, 25) : null,
      maxBytes: this.#chance(30) ? this.#integer(1, 200 * KiB) : null,
    };
    const isLimited = limits.maxMessages !== null || limits.maxBytes !== null;
    return {
      ...{ ...keepEverything, ...limits },
      maxAgeMs: this.#world.isTimed && this.#chance(50) ? this.#integer(1, 4000) : null,
      discard: isLimited && this.#chance(40) ? "new" : "old",
    };
  }

  #ackedPolicy(): RetentionPolicy {
    if (this.#chance(20)) return keepEverything;
    const names = this.#subjects[acked].consumers.filter(() => this.#chance(60)).map(parseConsumerName);
    const recipients = this.#chance(30) || names.length === 0 ? this.#integer(1, 3) : names;
    const policy: RetentionPolicy = { ...keepEverything, retain: "acked", recipients };
    if (this.#world.isTimed && typeof recipients !== "number" && this.#chance(50)) {
      return { ...policy, recipientTimeoutMs: this.#integer(1, 5000) };
    }
    // Not with a timeout: when exactly it makes room is not known.
    return this.#chance(40) ? { ...policy, maxMessages: this.#integer(1, 25), discard: "new" } : policy;
  }

  async #advance(): Promise<void> {
    const ms = this.#chance(10) ? this.#integer(2000, 6000) : this.#integer(1, 1000);
    this.#say(`${ms} ms pass`);
    await this.#world.advance(ms);
    this.#age();
    await this.#compareAll();
  }

  async #sweep(): Promise<void> {
    this.#say("sweep");
    await this.#sweepNow();
    await this.#compareAll();
  }

  async #sweepNow(): Promise<void> {
    await this.#world.sweep();
    this.#releaseSwept();
  }

  /** After a sweep recipients that timed out are waited for no longer. */
  #releaseSwept(): void {
    for (const subject of Object.values(this.#subjects)) subject.release(this.#world.nowMs());
  }

  async #restart(): Promise<void> {
    this.#say("restart");
    await this.#world.restart();
  }

  async #leaveUpload(): Promise<void> {
    const number = ++this.#number;
    const body = makeBody({ seed: number, length: this.#length() + 1, isText: false });
    this.#say(`an upload of ${body.length} is left`);
    await this.#world.leaveUpload(work, this.#chance(70) ? body : undefined);
  }

  async #checkpoint(): Promise<void> {
    this.#say("everything is looked at");
    // Who dies while he deletes an object needs a sweep more.
    this.#world.crashSoon(Number.POSITIVE_INFINITY);
    await this.#actor?.settle();
    const { wrong, actor } = await this.#world.inspect();
    if (wrong.length > 0) throw new Error(wrong.join("\n"));
    this.#age();
    this.#releaseSwept();
    await this.#compareAll();
    await this.#compareLetters();
    await this.#actor?.compareInspected(actor);
  }

  #age(): void {
    if (!this.#world.isTimed) return;
    for (const subject of Object.values(this.#subjects)) subject.age(this.#world.nowMs());
  }

  async #compareAll(): Promise<void> {
    for (const subject of Object.values(this.#subjects)) await this.#compare(subject);
  }

  /** What is stored is what must be, at once or, where time runs, soon. */
  async #compare(subject: ModelSubject): Promise<void> {
    this.#age();
    const untilMs = performance.now() + untilMsMax;
    for (;;) {
      const read = await this.#world.read(subject.name);
      for (const message of read.messages) this.#served(subject, message);
      this.#learn(subject, read);
      const difference = this.#differenceOf(subject, read);
      if (difference === undefined) return;
      if (this.#world.isTimed || performance.now() > untilMs) throw new Error(`${subject.name}: ${difference}`);
      await Bun.sleep(lookMs);
    }
  }

  /** Delayed messages and dead letters that were sent back are where they came to be; some may be gone. */
  #learn(subject: ModelSubject, { messages }: WorldSubject): void {
    subject.vanish(new Set(messages.map(({ sequence }) => sequence)), this.#world.nowMs());
    for (const { sequence, timestampMs, headers } of messages) {
      const number = Number(headers["number"]);
      const delayed = subject.delayed.get(number);
      const places = this.#places.get(number);
      const place = `${subject.name}/${sequence}`;
      if (delayed !== undefined) {
        if (timestampMs < delayed.dueAtMs) throw new Error(`#${delayed.number} came before its time`);
        subject.delayed.delete(delayed.number);
        this.#committed(subject, sequence, delayed.number, timestampMs, delayed.ttlMs);
      } else if (places !== undefined && !places.includes(place) && this.#mayBeRedriven(subject)) {
        this.#redriven.add(Number(places.at(-1)?.split("/").at(-1)));
        places.push(place);
        subject.committed(sequence, { number, body: this.#bodyOf(number), timestampMs, expiresAtMs: Infinity });
      }
    }
  }

  /** Where time runs, a call of a server that died may be under way still. */
  #mayBeRedriven({ name }: ModelSubject): boolean {
    return name === work && (this.#isRedriving || !this.#world.isTimed);
  }

  #differenceOf(subject: ModelSubject, read: WorldSubject): string | undefined {
    const expected = [...subject.stored.keys()].toSorted((a, b) => a - b);
    const found = read.messages.map(({ sequence }) => sequence);
    const missing = expected.filter((sequence) => !found.includes(sequence));
    const more = found.filter((sequence) => !subject.stored.has(sequence));
    if (missing.length + more.length > 0) return `${missing.join(" ")} are missing, ${more.join(" ")} are too many`;
    const first = expected[0] ?? subject.last + 1;
    const { firstSequence, lastSequence } = read;
    if (firstSequence !== first || lastSequence !== subject.last) {
      return `it is from ${firstSequence} to ${lastSequence}, not from ${first} to ${subject.last}`;
    }
    const soonMs = this.#world.isTimed ? this.#world.nowMs() : Date.now() + longMs / 2;
    const late = [...subject.delayed.values()].find(({ dueAtMs }) => dueAtMs <= soonMs);
    return late && `#${late.number} is late`;
  }

  /** Each was a message of `work`, is there once, and none that was given up and not sent back is missing. */
  async #compareLetters(): Promise<void> {
    const subject = this.#subjects[work];
    const found = new Set<number>();
    for (const message of (await this.#world.read(dead)).messages) {
      const sequence = letterSequence(message);
      if (found.has(sequence)) throw new Error(`${sequence} of ${work} was given up twice`);
      if (this.#redriven.has(sequence))
        throw new Error(`${sequence} of ${work} was sent back and is a dead letter still`);
      found.add(sequence);
      this.#served(subject, { ...message, sequence });
      subject.settled.get(flaky)?.add(sequence);
    }
    const missing = [...this.#givenUp].filter((sequence) => !found.has(sequence) && !this.#redriven.has(sequence));
    if (missing.length > 0) throw new Error(`${missing.join(" ")} of ${work} were given up and are nowhere`);
  }

  /** Whatever is served has the bytes that were published, and stands where it was committed. */
  #served(subject: ModelSubject, { sequence, headers, body }: WorldMessage): void {
    const number = Number(headers["number"]);
    if (Buffer.compare(body, makeBody(this.#placed(subject, sequence, number))) !== 0) {
      throw new Error(`${subject.name}/${sequence} (#${number}) is served with other bytes than were published`);
    }
  }

  /** The body of a message that stands where it was committed. @throws Error when it does not */
  #placed(subject: ModelSubject, sequence: number, number: number): BodySeed {
    const place = `${subject.name}/${sequence}`;
    const known = this.#places.get(number) ?? [place];
    if (!known.includes(place) && !this.#mayBeRedriven(subject)) {
      throw new Error(`#${number} is served at ${place}, and was at ${known.join(", ")}`);
    }
    return this.#bodyOf(number);
  }

  #bodyOf(number: number): BodySeed {
    const body = this.#bodies.get(number);
    if (body === undefined) throw new Error(`#${number} was never published`);
    return body;
  }

  #say(line: string): void {
    this.lines.push(line);
    this.#options.onStep?.(line);
  }

  #integer(min: number, max: number): number {
    return this.#random.integer(min, max);
  }

  #chance(percent: number): boolean {
    return this.#integer(0, 99) < percent;
  }

  #pick<T>(choices: readonly T[]): T {
    const chosen = choices[this.#integer(0, choices.length - 1)];
    if (chosen === undefined) throw new Error("there is nothing to choose from");
    return chosen;
  }
}

/** Of which message it is the dead letter. */
const letterSequence = ({ headers }: WorldMessage): number => Number(headers["dead-letter-sequence"]);

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
