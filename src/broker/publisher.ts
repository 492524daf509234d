/**
 * The publish verb: takes each draft's place in the order of its subject before anything is awaited, stores large
 * bodies as objects of their own, and answers every draft, at its deadline at the latest.
 * @module
 */
import type { Timers } from "../../actors/actor.ts";
import type { ActorRegistry } from "../../actors/registry.ts";
import type { PublishMessage } from "../../actors/subject.ts";
import { Ticket } from "../../actors/ticket.ts";
import type { BodyStore } from "../bodies/contract.ts";
import { StreamError, toStreamError } from "../core/errors.ts";
import { largeBodyBytesMin, paceBytesPerMs } from "../core/limits.ts";
import type { BodyRef, Draft, PublishOutcome } from "../core/message.ts";
import type { Subject } from "../core/subject.ts";
import type { BodySource } from "./contract.ts";
import type { Deadlines, Pending } from "./deadlines.ts";
import type { BrokerFigures } from "./figures.ts";

/** What the publisher works with. */
export interface PublisherOptions {
  readonly deadlines: Deadlines;
  readonly timers: Timers;
  /** Monotonic milliseconds, as the deadlines count them. */
  readonly elapsedMs: () => number;
  readonly bodyBytesMax: number;
  /** Bytes of bodies that are in memory and not committed yet, over all subjects; past it publishes are refused. */
  readonly inFlightBytesMax: number;
  readonly figures: Pick<BrokerFigures, "publishDurations" | "refusedPublish">;
}

/** Drafts of one subject out of a call, and where their outcomes go. */
interface Group {
  readonly drafts: Draft[];
  /** Index of each draft in the call; undefined when the whole call is one group. */
  readonly slots: number[] | undefined;
}

/** The one answer of a publish: what came of it, or that its deadline did. Made for every publish, so one object. */
class Answer extends Ticket implements Pending {
  startedMs = 0;
  dueMs = 0;
  timer: { cancel(): void } | undefined = undefined;
  previous: Pending | undefined = undefined;
  next: Pending | undefined = undefined;
  #isGiven = false;

  constructor(
    private readonly drafts: readonly Draft[],
    private readonly late: AbortController | undefined,
    private readonly deadlines: Deadlines,
    private readonly publisher: Publisher,
    private readonly resolve: (outcomes: readonly PublishOutcome[]) => void,
  ) {
    super();
  }

  /** What comes after the deadline changes nothing any more for the publisher; followers hear of it as of all else. */
  give(outcomes: readonly PublishOutcome[]): void {
    if (this.#isGiven) return;
    this.#isGiven = true;
    this.deadlines.end(this);
    this.publisher.answered(this.startedMs, outcomes);
    this.resolve(outcomes);
  }

  expire(): void {
    const error = this.withdraw() ? givenUp() : stillUnknown();
    this.give(this.drafts.map(() => error));
    this.late?.abort(error);
  }
}

/** Publishes drafts. */
export class Publisher {
  /** When the last byte of a body arrived that was stored before its publish. */
  readonly #arrivals = new WeakMap<BodyRef, number>();
  #inFlightBytes = 0;
  #draining = false;
  /** When the answers of this turn are given: those of one transaction come together, and share one look at the clock. */
  #answersMs: number | undefined;
  readonly #forgetAnswersMs = (): void => {
    this.#answersMs = undefined;
  };

  constructor(
    private readonly subjects: ActorRegistry<Subject, PublishMessage>,
    private readonly bodies: BodyStore,
    private readonly options: PublisherOptions,
  ) {}

  get inFlightBytes(): number {
    return this.#inFlightBytes;
  }

  /** Refuses everything from now on. */
  drain(): void {
    this.#draining = true;
  }

  async publish(drafts: readonly Draft[]): Promise<readonly PublishOutcome[]> {
    if (this.#draining) {
      const error = new StreamError("shutting_down", "The server is stopping; publish again to another or later.");
      this.options.figures.refusedPublish(error, drafts.length);
      return drafts.map(() => error);
    }
    const first = drafts[0];
    if (first === undefined) return [];
    const oneSubject = drafts.length === 1 || drafts.every((draft) => draft.subject === first.subject);
    if (oneSubject) return new Promise((resolve) => this.#tell(first.subject, drafts, resolve));
    return new Promise((resolve) => this.#publishGroups(drafts, resolve));
  }

  /** Counts what is answered. */
  answered(startedMs: number, outcomes: readonly PublishOutcome[]): void {
    if (this.#answersMs === undefined) {
      this.#answersMs = this.options.elapsedMs();
      queueMicrotask(this.#forgetAnswersMs);
    }
    const { figures } = this.options;
    figures.publishDurations.add(this.#answersMs - startedMs);
    for (const outcome of outcomes) if (outcome instanceof StreamError) figures.refusedPublish(outcome);
  }

  /** @throws StreamError `body_too_large`, `storage_full`, `unavailable` */
  async storeBody(source: BodySource, signal?: AbortSignal): Promise<BodyRef> {
    const { timers, elapsedMs, deadlines } = this.options;
    const late = new AbortController();
    let arrivedMs: number | undefined;
    let timer: { cancel(): void } | undefined;
    const arrived = (): void => {
      arrivedMs = elapsedMs();
      timer = timers.after(deadlines.msMax, () => late.abort(givenUp()));
    };
    try {
      const signals = signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]);
      const ref = await this.bodies.writeObject(this.#bounded(source, arrived), signals);
      if (arrivedMs !== undefined) this.#arrivals.set(ref, arrivedMs);
      return ref;
    } finally {
      timer?.cancel();
    }
  }

  async *#bounded(source: BodySource, ended: () => void): AsyncGenerator<Uint8Array> {
    let bytes = 0;
    for await (const chunk of source) {
      bytes += chunk.length;
      if (bytes > this.options.bodyBytesMax) throw bodyTooLarge(this.options.bodyBytesMax);
      yield chunk;
    }
    ended();
  }

  #publishGroups(drafts: readonly Draft[], resolve: (outcomes: readonly PublishOutcome[]) => void): void {
    const groups = new Map<Subject, Group & { readonly slots: number[] }>();
    for (const [index, draft] of drafts.entries()) {
      let group = groups.get(draft.subject);
      if (group === undefined) {
        group = { drafts: [], slots: [] };
        groups.set(draft.subject, group);
      }
      group.drafts.push(draft);
      group.slots.push(index);
    }
    const outcomes = new Array<PublishOutcome>(drafts.length);
    let open = groups.size;
    for (const [subject, group] of groups) {
      this.#tell(subject, group.drafts, (answered) => {
        for (const [index, slot] of group.slots.entries()) {
          const outcome = answered[index];
          if (outcome !== undefined) outcomes[slot] = outcome;
        }
        if (--open === 0) resolve(outcomes);
      });
    }
  }

  #tell(subject: Subject, drafts: readonly Draft[], resolve: (outcomes: readonly PublishOutcome[]) => void): void {
    let bytes = 0;
    let large = false;
    let arrivedMs: number | undefined;
    for (const { body } of drafts) {
      if (!(body instanceof Uint8Array)) {
        arrivedMs ??= this.#arrivals.get(body);
        continue;
      }
      bytes += body.length;
      if (body.length >= largeBodyBytesMin) large = true;
    }
    const refuse = (error: StreamError): void => {
      this.options.figures.refusedPublish(error, drafts.length);
      resolve(drafts.map(() => error));
    };
    // One message larger than the whole budget still goes when it is alone.
    if (this.#inFlightBytes > 0 && this.#inFlightBytes + bytes > this.options.inFlightBytesMax) {
      refuse(new StreamError("overloaded", "Too many bytes are being published; try again a little later."));
      return;
    }
    this.#inFlightBytes += bytes;
    const { deadlines } = this.options;
    const late = large ? new AbortController() : undefined;
    const answer = new Answer(drafts, late, deadlines, this, resolve);
    answer.startedMs = deadlines.start(answer, arrivedMs, large ? bytes / paceBytesPerMs : 0);
    const settle = (outcomes: readonly PublishOutcome[]): void => {
      this.#inFlightBytes -= bytes;
      answer.give(outcomes);
    };
    const storing = late === undefined ? undefined : this.#storeLarge(drafts, late.signal);
    // Whoever waits for it comes later; until then a failure must not count as unhandled.
    storing?.catch(() => undefined);
    try {
      this.subjects.tell(subject, { drafts, bytes, storing, ticket: answer, settle }, bytes);
    } catch (error) {
      settle(drafts.map(() => toStreamError(error)));
    }
  }

  /** The drafts with refs in place of their large bodies. */
  async #storeLarge(drafts: readonly Draft[], signal: AbortSignal): Promise<readonly Draft[]> {
    return Promise.all(
      drafts.map(async (draft) => {
        const { body } = draft;
        if (!(body instanceof Uint8Array) || body.length < largeBodyBytesMin) return draft;
        if (body.length > this.options.bodyBytesMax) throw bodyTooLarge(this.options.bodyBytesMax);
        return { ...draft, body: await this.bodies.writeObject(body, signal) };
      }),
    );
  }
}

const givenUp = (): StreamError =>
  new StreamError("unavailable", "The stores do not answer; the message was given up and not stored.");

const stillUnknown = (): StreamError =>
  new StreamError("outcome_unknown", "The metadata store did not answer in time; retry under the same message id.");

/** Refuses a body. */
export const bodyTooLarge = (bytesMax: number): StreamError =>
  new StreamError("body_too_large", `The body is larger than ${bytesMax} bytes.`, { max_body_bytes: bytesMax });
