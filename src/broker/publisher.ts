/**
 * The publish verb: takes each draft's place in the order of its subject before anything is awaited, stores large
 * bodies as objects of their own, and answers every draft.
 * @module
 */
import type { ActorRegistry } from "../../actors/registry.ts";
import type { PublishMessage } from "../../actors/subject.ts";
import type { BodyStore } from "../bodies/contract.ts";
import { StreamError, toStreamError } from "../core/errors.ts";
import { largeBodyBytesMin } from "../core/limits.ts";
import type { BodyRef, Draft, PublishOutcome } from "../core/message.ts";
import type { Subject } from "../core/subject.ts";
import type { BodySource } from "./contract.ts";

/** What the publisher works with. */
export interface PublisherOptions {
  readonly bodyBytesMax: number;
  /** Bytes of bodies that are in memory and not committed yet, over all subjects; past it publishes are refused. */
  readonly inFlightBytesMax: number;
}

/** Drafts of one subject out of a call, and where their outcomes go. */
interface Group {
  readonly drafts: Draft[];
  /** Index of each draft in the call; undefined when the whole call is one group. */
  readonly slots: number[] | undefined;
}

/** Publishes drafts. */
export class Publisher {
  #inFlightBytes = 0;
  #draining = false;

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
      return drafts.map(() => error);
    }
    const first = drafts[0];
    if (first === undefined) return [];
    const oneSubject = drafts.length === 1 || drafts.every((draft) => draft.subject === first.subject);
    if (oneSubject) return new Promise((resolve) => this.#tell(first.subject, drafts, resolve));
    return new Promise((resolve) => this.#publishGroups(drafts, resolve));
  }

  /** @throws StreamError `body_too_large`, `storage_full`, `unavailable` */
  async storeBody(source: BodySource, signal?: AbortSignal): Promise<BodyRef> {
    return this.#store(this.#bounded(source), signal);
  }

  async #store(body: BodySource | Uint8Array, signal?: AbortSignal): Promise<BodyRef> {
    const { object, length, sha256 } = await this.bodies.writeObject(body, signal);
    return { object, offset: 0, length, sha256 };
  }

  async *#bounded(source: BodySource): AsyncGenerator<Uint8Array> {
    let bytes = 0;
    for await (const chunk of source) {
      bytes += chunk.length;
      if (bytes > this.options.bodyBytesMax) throw bodyTooLarge(this.options.bodyBytesMax);
      yield chunk;
    }
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
    for (const { body } of drafts) {
      if (!(body instanceof Uint8Array)) continue;
      bytes += body.length;
      if (body.length >= largeBodyBytesMin) large = true;
    }
    const refuse = (error: StreamError): void => resolve(drafts.map(() => error));
    // One message larger than the whole budget still goes when it is alone.
    if (this.#inFlightBytes > 0 && this.#inFlightBytes + bytes > this.options.inFlightBytesMax) {
      refuse(new StreamError("overloaded", "Too many bytes are being published; try again a little later."));
      return;
    }
    this.#inFlightBytes += bytes;
    const settle = (outcomes: readonly PublishOutcome[]): void => {
      this.#inFlightBytes -= bytes;
      resolve(outcomes);
    };
    const storing = large ? this.#storeLarge(drafts) : undefined;
    // Whoever waits for it comes later; until then a failure must not count as unhandled.
    storing?.catch(() => undefined);
    try {
      this.subjects.tell(subject, { drafts, bytes, storing, settle }, bytes);
    } catch (error) {
      settle(drafts.map(() => toStreamError(error)));
    }
  }

  /** The drafts with refs in place of their large bodies. */
  async #storeLarge(drafts: readonly Draft[]): Promise<readonly Draft[]> {
    return Promise.all(
      drafts.map(async (draft) => {
        const { body } = draft;
        if (!(body instanceof Uint8Array) || body.length < largeBodyBytesMin) return draft;
        if (body.length > this.options.bodyBytesMax) throw bodyTooLarge(this.options.bodyBytesMax);
        return { ...draft, body: await this.#store(body) };
      }),
    );
  }
}

const bodyTooLarge = (bytesMax: number): StreamError =>
  new StreamError("body_too_large", `The body is larger than ${bytesMax} bytes.`, { max_body_bytes: bytesMax });
