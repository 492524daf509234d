/**
 * The play: everybody is put in place, documents are sent, a branch dies and comes back, and at the end it is compared
 * what was sent, what was booked, and what is left.
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BranchProcess, type BranchTally } from "./branch-process.ts";
import type { Options } from "./options.ts";
import { headOffice, Producer, type Sent } from "./producer.ts";
import type { Diagnosis, Objects, OwnStage, Stage } from "./stage.ts";
import { AnswerError, subjectPath, Wire } from "./wire.ts";

/** What is left at the end; undefined where it could not be looked at. */
export interface Leftovers {
  readonly messages: number;
  readonly bytes: number;
  readonly objects: Objects | undefined;
  readonly diagnosis: Diagnosis | undefined;
}

/** What came of a run. */
export interface Outcome {
  readonly sent: readonly Sent[];
  readonly branches: readonly BranchTally[];
  /** From the first publish to the last acknowledgement, in milliseconds. */
  readonly tookMs: number;
  readonly objectsBefore: Objects | undefined;
  /** The most that were seen. */
  readonly objectsMost: Objects | undefined;
  readonly left: Leftovers;
  /** What is not as it must be, a sentence each. */
  readonly violations: readonly string[];
}

/** How far it is. */
export interface Standing {
  readonly published: number;
  readonly branches: readonly BranchTally[];
  /** What is waited for at the end; undefined before. */
  readonly ending: string | undefined;
}

/** Who is told of what happens. */
export interface Audience {
  /** A line on something that happened. */
  said(line: string): void;
  moved(standing: Standing): void;
}

/** A branch that was killed gets its documents again after this, and a little for every byte. */
const ackWaitMsMin = 2000;
const ackWaitMsPerMB = 100;
/** What a document takes the slow branch longer. */
const slowMs = 150;
/** The second document is the one in the middle of which a branch is killed. */
const holdAt = 2;
/** The sweeps need far less. */
const emptyMsMax = 60_000;
const lookMs = 50;
/** Looks at the objects while documents are sent. */
const looksMax = 100;

/** Plays it. @throws the signal's reason; Error when something does not work at all */
export const play = async (
  options: Options,
  stage: Stage,
  audience: Audience,
  signal: AbortSignal,
): Promise<Outcome> => {
  const books = await mkdtemp(join(tmpdir(), "mts-demo-books-"));
  await using run = new Run(options, stage, audience, signal, books);
  return await run.run();
};

class Run implements AsyncDisposable {
  readonly #options: Options;
  readonly #stage: Stage;
  readonly #audience: Audience;
  readonly #signal: AbortSignal;
  readonly #booksFolder: string;
  readonly #wire: Wire;
  readonly #subject: string;
  readonly #producer: Producer;
  readonly #branches: readonly BranchProcess[];
  readonly #sent: Sent[] = [];
  readonly #violations: string[] = [];
  #ending: string | undefined;
  #objectsMost: Objects | undefined;
  #changed = Promise.withResolvers<undefined>();

  constructor(options: Options, stage: Stage, audience: Audience, signal: AbortSignal, booksFolder: string) {
    const { url, own } = stage;
    this.#options = options;
    this.#stage = stage;
    this.#audience = audience;
    this.#signal = signal;
    this.#booksFolder = booksFolder;
    this.#wire = new Wire(url, signal);
    // Beside others on somebody else's server, or on a folder that has seen a demo before.
    const isFresh = own !== undefined && !(options.place.kind === "embedded" && options.place.dataDir !== undefined);
    this.#subject = isFresh ? "head-office.documents" : `head-office.documents.${crypto.randomUUID().slice(0, 8)}`;
    this.#producer = new Producer(url, this.#subject, options, signal);
    const { branches } = options;
    this.#branches = Array.from({ length: branches }, (_, index) => {
      const name = `branch-${index + 1}`;
      // The first is an ordinary one, when there are enough of them.
      const [isSlow, isDoomed] = [index === branches - 1, index === Math.min(1, branches - 1)];
      const booksPath = join(booksFolder, name);
      const hold = Math.min(holdAt, options.count);
      const plan = { name, url, subject: this.#subject, booksPath };
      return new BranchProcess({ ...plan, slowMs: isSlow ? slowMs : 0, holdAt: isDoomed ? hold : 0 }, () =>
        this.#moved(),
      );
    });
  }

  async run(): Promise<Outcome> {
    const { own } = this.#stage;
    const { count, remove } = this.#options;
    const objectsBefore = await own?.objects();
    await this.#prepare();
    await Promise.all(this.#branches.map((branch) => branch.start()));
    this.#signal.throwIfAborted();
    this.#audience.said(this.#branches.map(({ name, pid }) => `${name} is process ${pid ?? "?"}`).join(", "));
    const startMs = performance.timeOrigin + performance.now();
    await this.#send(1);
    for (const branch of this.#branches) branch.begin();
    const crashed = this.#crash();
    crashed.catch(() => undefined);
    for (let number = 2; number <= count; number++) await this.#send(number);
    this.#audience.said(`all ${count} documents are published`);
    await crashed;
    await this.#until(() => this.#branches.every(({ tally }) => tally.ackedAtMs.size >= count));
    const endMs = Math.max(...this.#branches.flatMap(({ tally }) => [...tally.ackedAtMs.values()]));
    this.#audience.said("all branches have acknowledged all documents");
    await this.#lookAtReceipts();
    if (remove) await this.#untilEmpty(own);
    this.#end("waiting for the branches to end");
    await Promise.all(this.#branches.map((branch) => branch.stop()));
    this.#compareBookings();
    const { messages, bytes } = await this.#amount();
    await this.#leave();
    const diagnosis = own === undefined ? undefined : await this.#closeDown(own);
    const objects = await own?.objects();
    const left = { messages, bytes, objects, diagnosis };
    if (remove) this.#compareWithNothing(left, objectsBefore);
    return {
      ...{ sent: this.#sent, branches: this.#branches.map(({ tally }) => tally), tookMs: endMs - startMs },
      ...{ objectsBefore, objectsMost: this.#objectsMost, left, violations: this.#violations },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#branches.map((branch) => branch[Symbol.asyncDispose]()));
    await rm(this.#booksFolder, { recursive: true, force: true });
  }

  get #recipients(): readonly string[] {
    return [...this.#branches.map(({ name }) => name), ...(this.#options.verify ? [headOffice] : [])];
  }

  /** The recipients and the policy that waits for them. */
  async #prepare(): Promise<void> {
    const { documentBytes, remove } = this.#options;
    const ack_wait_ms = ackWaitMsMin + Math.ceil((documentBytes / 1e6) * ackWaitMsPerMB);
    if (remove) {
      const policy = { retain: "acked", recipients: this.#recipients };
      await this.#wire.json("PUT", this.#policyPath, policy);
    }
    for (const name of this.#recipients) {
      await this.#wire.json("PUT", this.#consumerPath(name), { start: "first", ack: "explicit", ack_wait_ms });
    }
  }

  async #send(number: number): Promise<void> {
    this.#signal.throwIfAborted();
    // The first is published a second time, while it is certain that no branch has it.
    this.#sent.push(await this.#producer.send(number, number === 1));
    this.#moved();
    if (number % Math.ceil(this.#options.count / looksMax) === 0) await this.#lookAtObjects();
  }

  async #lookAtObjects(): Promise<void> {
    const objects = await this.#stage.own?.objects();
    if (objects !== undefined && objects.count > (this.#objectsMost?.count ?? -1)) this.#objectsMost = objects;
  }

  /** `kill -9` in the middle of a document, and a new process under the same name. */
  async #crash(): Promise<void> {
    const branch = this.#branches[Math.min(1, this.#branches.length - 1)];
    if (branch === undefined) return;
    let sequence: number | undefined;
    void branch.holding.then((held) => {
      sequence = held;
      this.#moved();
    });
    await this.#until(() => sequence !== undefined);
    await branch.kill();
    this.#audience.said(`${branch.name} was killed in the middle of message ${sequence ?? "?"}`);
    await branch.start();
    branch.begin(true);
    this.#audience.said(`${branch.name} is back as process ${branch.pid ?? "?"}`);
  }

  /** All recipients have acknowledged all documents, says the server. */
  async #lookAtReceipts(): Promise<void> {
    for (const { sequence } of this.#sent) {
      const receipts = await this.#wire.json<{ readonly released: boolean; readonly acked: number }>(
        "GET",
        `${subjectPath(this.#subject)}/messages/${sequence}/receipts`,
      );
      const expected = this.#recipients.length;
      if (this.#options.remove ? receipts.released : receipts.acked === expected) continue;
      this.#violations.push(
        `message ${sequence} is acknowledged by all, and its receipts say ${JSON.stringify(receipts)}`,
      );
    }
  }

  /** Until the sweep has taken everything away; what is left after a minute is told by the comparison at the end. */
  async #untilEmpty(own: OwnStage | undefined): Promise<void> {
    this.#end("waiting for the sweep");
    const untilMs = performance.now() + emptyMsMax;
    for (;;) {
      const { messages } = await this.#amount();
      const { count } = (await own?.objects()) ?? { count: 0 };
      if (messages + count === 0) {
        this.#audience.said("nothing is left in the store");
        return;
      }
      if (performance.now() > untilMs) return;
      this.#end(`waiting for the sweep: ${messages} messages, ${count} objects`);
      await Bun.sleep(lookMs);
      this.#signal.throwIfAborted();
    }
  }

  /** Each branch has booked each document once, and the same as was sent. */
  #compareBookings(): void {
    for (const { tally } of this.#branches) {
      const { name, bookings, failures } = tally;
      this.#violations.push(...failures.map((detail) => `${name}: ${detail}`));
      for (const { number, sequence, totalCents, sha256 } of this.#sent) {
        const booked = bookings.filter((booking) => booking.sequence === sequence);
        if (booked.length !== 1) {
          this.#violations.push(`${name} has booked document ${number} ${booked.length} times`);
        } else if (booked[0]?.number !== number || booked[0].totalCents !== totalCents || booked[0].sha256 !== sha256) {
          this.#violations.push(`${name} has booked document ${number} as ${JSON.stringify(booked[0])}`);
        }
      }
      if (bookings.length > this.#sent.length) this.#violations.push(`${name} has booked what was never sent`);
      if (tally.killed > 0 && tally.redelivered === 0) {
        this.#violations.push(`${name} was killed in the middle of a document, which did not come again`);
      }
    }
  }

  #compareWithNothing({ messages, bytes, objects, diagnosis }: Leftovers, before: Objects | undefined): void {
    if (messages + bytes > 0) this.#violations.push(`${messages} messages with ${bytes} bytes are left`);
    const more = (objects?.count ?? 0) - (before?.count ?? 0);
    if (more > 0) this.#violations.push(`${more} objects are left`);
    const dead = diagnosis?.dead_objects ?? 0;
    if (dead > 0) this.#violations.push(`${dead} objects are noted for their deletion`);
  }

  /** On somebody else's server nothing stays but what was asked for. */
  async #leave(): Promise<void> {
    if (!this.#options.remove) return;
    await this.#wire.json("DELETE", this.#policyPath);
    for (const name of this.#recipients) await this.#wire.json("DELETE", this.#consumerPath(name));
  }

  async #closeDown(own: OwnStage): Promise<Diagnosis | undefined> {
    this.#end("asking the doctor");
    try {
      await own.stopServer();
      if (this.#options.remove) await own.closeBooks();
      return await own.diagnose();
    } catch (error) {
      this.#violations.push(error instanceof Error ? error.message : String(error));
      return undefined;
    }
  }

  /** What the subject holds, as the server says it. */
  async #amount(): Promise<{ readonly messages: number; readonly bytes: number }> {
    try {
      return await this.#wire.json("GET", subjectPath(this.#subject));
    } catch (error) {
      if (error instanceof AnswerError && error.code === "subject_not_found") return { messages: 0, bytes: 0 };
      throw error;
    }
  }

  get #policyPath(): string {
    return `/v1/policies/${encodeURIComponent(this.#subject)}`;
  }

  #consumerPath(name: string): string {
    return `${subjectPath(this.#subject)}/consumers/${encodeURIComponent(name)}`;
  }

  /** @throws the signal's reason; Error as soon as a branch has failed */
  async #until(isSo: () => boolean): Promise<void> {
    const aborted = new Promise<never>((_, reject) => {
      this.#signal.addEventListener("abort", () => reject(this.#signal.reason as Error), { once: true });
    });
    aborted.catch(() => undefined);
    while (!isSo()) {
      this.#signal.throwIfAborted();
      const failed = this.#branches.find(({ tally }) => tally.failures.length > 0);
      if (failed !== undefined) throw new Error(`${failed.name}: ${failed.tally.failures.join("; ")}`);
      await Promise.race([this.#changed.promise, aborted]);
    }
  }

  #end(what: string): void {
    this.#ending = what;
    this.#moved();
  }

  #moved(): void {
    this.#changed.resolve(undefined);
    this.#changed = Promise.withResolvers();
    const branches = this.#branches.map(({ tally }) => tally);
    this.#audience.moved({ published: this.#sent.length, branches, ending: this.#ending });
  }
}
