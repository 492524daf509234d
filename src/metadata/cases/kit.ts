/**
 * What the cases share: the harness that a driver gives, and short ways to publish, pull and configure.
 * @module
 */
import { type ErrorCode, StreamError } from "../../core/errors.ts";
import { sequenceMax } from "../../core/limits.ts";
import type { ConsumerConfig, DeliverAt, Envelope, Headers, Sequence } from "../../core/message.ts";
import { parseConsumerName, parseFilter, parseSubject, type Subject } from "../../core/subject.ts";
import type {
  AckOutcome,
  CommitEntry,
  CommitOutcome,
  DeadObject,
  MetadataStore,
  Moved,
  PageBounds,
  PulledPage,
} from "../contract.ts";

/** A store under test and what is around it. */
export interface MetadataHarness {
  /** The store as it was opened last. */
  readonly store: MetadataStore;
  /** How long the store remembers a message id. */
  readonly dedupeWindowMs: number;
  /** Closes the store and opens it again on the same place. */
  reopen(): Promise<void>;
  /** Moves the store's clock (back, when negative), which otherwise stands still. */
  advance?(ms: number): void | Promise<void>;
  /** Closes the store and removes its place. */
  close(): Promise<void>;
}

/** How a case is declared. */
export interface Cases {
  /** A case with an empty store of its own. */
  readonly case: (title: string, body: (harness: MetadataHarness) => Promise<void>) => void;
  /** A case that moves the clock. */
  readonly timed: (
    title: string,
    body: (harness: MetadataHarness, advance: (ms: number) => Promise<void>) => Promise<void>,
  ) => void;
}

/** A subject that most cases use. */
export const orders = parseSubject("orders.eu");
/** Another one. */
export const invoices = parseSubject("invoices.eu");
/** A consumer that most cases use. */
export const worker = parseConsumerName("worker");
export const subjectOf = parseSubject;
export const filterOf = parseFilter;
export const nameOf = parseConsumerName;

/** Bounds that never bind. */
export const everything: PageBounds = { limit: 100_000, bodyBytesMax: sequenceMax };

/** 32 bytes that differ for each seed. */
export const digestOf = (seed: number): Uint8Array =>
  Uint8Array.from({ length: 32 }, (_, index) => (seed * 31 + index) % 256);

/** What may differ between entries. */
export interface EntryOptions {
  readonly headers?: Headers;
  readonly object?: string;
  readonly offset?: number;
  readonly length?: number;
  readonly sha256?: Uint8Array;
  readonly messageId?: string;
  readonly expectedLastSequence?: Sequence;
  readonly storedLength?: number;
  readonly ttlMs?: number;
  readonly deliverAt?: DeliverAt;
}

/** An entry with a body of 10 bytes unless told otherwise. */
export const entryOf = (subject: Subject, options: EntryOptions = {}): CommitEntry => {
  const { headers = {}, object = "segment/1", offset = 0, length = 10, sha256 = digestOf(1) } = options;
  const { messageId, expectedLastSequence, storedLength, ttlMs, deliverAt } = options;
  const body = { object, offset, length, sha256, storedLength };
  return { subject, headers, body, messageId, expectedLastSequence, ttlMs, deliverAt };
};

/** Lets everybody else go first: what a store does in the background it does between two turns of the event loop. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Commits so many messages. */
export const publish = async (
  store: MetadataStore,
  subject: Subject,
  count: number,
  options: EntryOptions = {},
): Promise<readonly CommitOutcome[]> =>
  store.commit(Array.from({ length: count }, (_, index) => entryOf(subject, { offset: index, ...options })));

/** Commits one message. */
export const publishOne = async (store: MetadataStore, entry: CommitEntry): Promise<CommitOutcome> => {
  const [outcome] = await store.commit([entry]);
  if (outcome === undefined) throw new Error("An entry got no outcome.");
  return outcome;
};

/** The sequence that was given out, or 0 when none was. */
export const sequenceOf = (outcome: CommitOutcome): Sequence => ("sequence" in outcome ? outcome.sequence : 0);

/** The time that was given out, or 0 when none was. */
export const timeOf = (outcome: CommitOutcome): number => ("timestampMs" in outcome ? outcome.timestampMs : 0);

/** Names of the dead objects that were handed out. */
export const deadNamesOf = async (taken: Promise<readonly DeadObject[]>): Promise<readonly string[]> =>
  (await taken).map(({ object }) => object);

/** Sequences of a page, in its order. */
export const sequencesOf = (page: { readonly envelopes: readonly Envelope[] }): Sequence[] =>
  page.envelopes.map((envelope) => envelope.sequence);

/** `[sequence, deliveries]` of a pulled page, in its order. */
export const deliveriesOf = (page: PulledPage): [Sequence, number][] =>
  page.envelopes.map((envelope) => [envelope.sequence, envelope.deliveries]);

/** A configuration with the contract's defaults. */
export const configOf = (config: Partial<ConsumerConfig> = {}): ConsumerConfig => ({
  start: { kind: "first" },
  ack: "all",
  ackWaitMs: 30_000,
  maxDeliver: 0,
  maxAckPending: 1000,
  ...config,
});

/** Makes `worker` on `orders`. */
export const makeWorker = async (store: MetadataStore, config: Partial<ConsumerConfig> = {}): Promise<void> => {
  await store.putConsumer(orders, worker, configOf(config));
};

/** Pulls as `worker` from `orders`. */
export const pull = async (
  store: MetadataStore,
  options: Partial<PageBounds> & { readonly autoAck?: boolean; readonly create?: boolean } = {},
): Promise<PulledPage> =>
  store.pull({ subject: orders, consumer: worker, ...everything, autoAck: false, create: true, ...options });

/** Acknowledges as `worker` on `orders`: through a sequence, or exactly these. */
export const ack = async (store: MetadataStore, settled: Sequence | readonly Sequence[]): Promise<AckOutcome> => {
  const target = typeof settled === "number" ? { through: settled } : { sequences: settled };
  const [outcome] = await store.ack([{ subject: orders, consumer: worker, ...target }]);
  if (outcome === undefined) throw new Error("An acknowledgement got no outcome.");
  return outcome;
};

/** Gives back as `worker` on `orders`. */
export const nack = async (store: MetadataStore, sequences: readonly Sequence[], delayMs = 0) => {
  const [outcome] = await store.nack([{ subject: orders, consumer: worker, sequences, delayMs }]);
  if (outcome === undefined) throw new Error("A nack got no outcome.");
  return outcome;
};

/** The state of `worker` on `orders`. */
export const stateOf = async (store: MetadataStore) => {
  const state = await store.consumer(orders, worker);
  if (state === null) throw new Error("The worker is not there.");
  return state;
};

/** The sequences that are stored, as a read shows them. */
export const storedIn = async (store: MetadataStore, subject: Subject = orders): Promise<readonly Sequence[]> =>
  sequencesOf(await store.range(subject, 1, everything));

/** First and last of a subject. */
export const endsOf = async (store: MetadataStore, subject: Subject = orders): Promise<readonly [number, number]> => {
  const [head] = await store.heads([subject]);
  if (head === undefined) throw new Error("A subject has no head.");
  return [head.firstSequence, head.lastSequence];
};

/** How many messages and bytes a subject says that it has. */
export const amountOf = async (store: MetadataStore, subject: Subject = orders): Promise<readonly [number, number]> => {
  const details = await store.subject(subject);
  return [details?.messages ?? 0, details?.bytes ?? 0];
};

/** Commits messages of which each goes after so many milliseconds, or (0) stays. */
export const publishFor = async (
  store: MetadataStore,
  subject: Subject,
  ttlsMs: readonly number[],
  options: EntryOptions = {},
): Promise<readonly CommitOutcome[]> =>
  store.commit(ttlsMs.map((ttlMs) => entryOf(subject, { ...options, ...(ttlMs === 0 ? {} : { ttlMs }) })));

/** Sweeps everything, a few subjects at a time; answers how many messages were deleted. */
export const sweep = async (store: MetadataStore, limit = 2): Promise<number> => {
  let after: string | undefined;
  let deleted = 0;
  do {
    const { expired, next } = await store.expire(after, limit);
    deleted += expired;
    after = next;
  } while (after !== undefined);
  return deleted;
};

/** The code that a call is refused with; undefined when it is not, or not by a `StreamError`. */
export const refusalOf = async (call: Promise<unknown>): Promise<ErrorCode | undefined> =>
  call.then(
    () => undefined,
    (error: unknown) => (error instanceof StreamError ? error.code : undefined),
  );

/** Begins to listen; the answer tells, in the order of the subjects, of what was committed since. */
export const hearing = async (store: MetadataStore): Promise<() => Promise<readonly Moved[]>> => {
  const { changes } = store;
  const heard = new Map<Subject, Moved>();
  const note = (moved: readonly Moved[]): void => {
    for (const each of moved) {
      heard.set(each.subject, { ...each, first: heard.get(each.subject)?.first ?? each.first });
    }
  };
  const inOrder = () => [...heard.values()].sort((a, b) => (a.subject < b.subject ? -1 : 1));
  if (changes === undefined) {
    store.onMoved(note);
    return async () => inOrder();
  }
  let { position } = await changes.now();
  return async () => {
    const end = (await changes.now()).position;
    while (!changes.reached(position, end)) {
      const page = await changes.next(position, 1000);
      note(page.moved);
      position = page.position;
    }
    return inOrder();
  };
};

/** 1 … n. */
export const upTo = (n: number): number[] => Array.from({ length: n }, (_, index) => index + 1);
