/**
 * Checks the stores of a stopped server through their contracts, whatever drivers are behind them: every subject of the
 * listing, every message of its head, every body against its checksum, every consumer's position.
 *
 * Not seen, because the contracts cannot list them: consumers of subjects that nobody published to.
 * @module
 */
import type { BodyStore } from "../../bodies/contract.ts";
import { VerifiedBodies } from "../../bodies/verified.ts";
import { pageBodyBytesMax } from "../../core/limits.ts";
import type { Envelope, Sequence, SubjectSummary } from "../../core/message.ts";
import { parseFilter, type Subject } from "../../core/subject.ts";
import type { MetadataStore } from "../../metadata/contract.ts";
import { verifyBodies, verifyDelayed } from "./bodies.ts";
import { checkConsumers } from "./consumers.ts";
import { countOrphans } from "./orphans.ts";
import { type Report, reasonOf } from "./problems.ts";
import { SubjectWalk } from "./walk.ts";

/** Subjects and messages asked for at a time. */
const pageMax = 1000;

/** How often sums that do not fit are compared again. */
const againMax = 2;

/** What is checked. */
export interface DoctorStores {
  readonly metadata: MetadataStore;
  readonly bodies: BodyStore;
}

/** How the check goes. */
export interface CheckOptions {
  readonly report: Report;
  /** Called after every page of messages. */
  readonly onProgress?: () => void;
  /** Objects written after this, Unix milliseconds, may still be waiting for their messages. */
  readonly youngSinceMs: number;
  readonly signal?: AbortSignal;
}

/** Checks everything; what is wrong is in the report. @throws the signal's reason */
export const checkStores = async (stores: DoctorStores, options: CheckOptions): Promise<void> => {
  const { report, signal } = options;
  try {
    for await (const summary of allSubjects(stores.metadata)) {
      signal?.throwIfAborted();
      await new SubjectCheck(stores, summary, options).run();
    }
  } catch (thrown) {
    signal?.throwIfAborted();
    report.add({ code: "store_unreadable", detail: `the subjects cannot be listed: ${reasonOf(thrown)}` });
  }
  try {
    await verifyDelayed(stores, new VerifiedBodies(stores.bodies), options);
  } catch (thrown) {
    signal?.throwIfAborted();
    report.add({ code: "store_unreadable", detail: `the delayed messages cannot be read: ${reasonOf(thrown)}` });
  }
  try {
    for (const detail of (await stores.metadata.audit?.()) ?? []) report.add({ code: "books_wrong", detail });
  } catch (thrown) {
    report.add({ code: "store_unreadable", detail: `the metadata cannot be read: ${reasonOf(thrown)}` });
  }
  signal?.throwIfAborted();
  try {
    await countOrphans(stores, options);
  } catch (thrown) {
    signal?.throwIfAborted();
    report.add({ code: "store_unreadable", detail: `the objects cannot be listed: ${reasonOf(thrown)}` });
  }
};

async function* allSubjects(metadata: MetadataStore): AsyncGenerator<SubjectSummary, void> {
  const filter = parseFilter(">");
  let after: string | undefined;
  for (;;) {
    const { subjects, hasMore } = await metadata.subjects({ filter, after, limit: pageMax });
    yield* subjects;
    after = subjects.at(-1)?.subject;
    if (!hasMore || after === undefined) return;
  }
}

/** The check of one subject. */
class SubjectCheck {
  readonly #metadata: MetadataStore;
  readonly #bodies: VerifiedBodies;
  readonly #summary: SubjectSummary;
  readonly #subject: Subject;
  readonly #options: CheckOptions;
  readonly #report: Report;

  constructor(stores: DoctorStores, summary: SubjectSummary, options: CheckOptions) {
    this.#metadata = stores.metadata;
    this.#bodies = new VerifiedBodies(stores.bodies);
    this.#summary = summary;
    this.#subject = summary.subject;
    this.#options = options;
    this.#report = options.report;
  }

  async run(): Promise<void> {
    const { subject } = this.#summary;
    this.#report.subjects++;
    await this.#attempt("its messages cannot be read", () => this.#messages());
    await this.#attempt("its consumers cannot be read", async () =>
      checkConsumers(await this.#metadata.consumers(subject), this.#summary, this.#report),
    );
  }

  /** One unreadable page of metadata is the fault of this subject; the others are still worth looking at. */
  async #attempt(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (thrown) {
      this.#options.signal?.throwIfAborted();
      const detail = `${what}: ${reasonOf(thrown)}`;
      this.#report.add({ code: "store_unreadable", subject: this.#subject, detail });
    }
  }

  async #messages(): Promise<void> {
    let walk = await this.#walk(this.#summary, async (envelopes) => {
      await verifyBodies(this.#bodies, envelopes, this.#options, ({ sequence }) => ({ sequence }));
      this.#report.messages += envelopes.length;
    });
    for (let round = 0; walk.isOff && round < againMax; round++) {
      // What expired since it was listed is no longer there, and nothing is wrong.
      const now = await this.#metadata.subject(this.#subject);
      if (now === null) break;
      walk = await this.#walk(now, () => Promise.resolve());
    }
    for (const problem of walk.problems) this.#report.add(problem);
  }

  /** Goes over all messages. */
  async #walk(summary: SubjectSummary, see: (envelopes: readonly Envelope[]) => Promise<void>): Promise<SubjectWalk> {
    const walk = new SubjectWalk(summary);
    const [head] = await this.#metadata.heads([this.#subject]);
    if (head !== undefined) walk.compareHead(head);
    let from: Sequence = 0;
    for (;;) {
      this.#options.signal?.throwIfAborted();
      const bounds = { limit: pageMax, bodyBytesMax: pageBodyBytesMax };
      const { envelopes } = await this.#metadata.range(this.#subject, from, bounds);
      const last = envelopes.at(-1);
      // A page that does not move on would never end.
      if (last === undefined || last.sequence < from) break;
      for (const envelope of envelopes) walk.see(envelope);
      await see(envelopes);
      this.#options.onProgress?.();
      from = last.sequence + 1;
    }
    walk.end();
    return walk;
  }
}
