/**
 * What a history is played on: something that keeps the promises of the stream, however it is reached and however often
 * it dies meanwhile. Every verb is tried again after a death until it is answered, which is safe because messages have
 * ids and everything else may be said twice.
 * @module
 */
import type { RetentionPolicy } from "../../core/policy.ts";
import type { ActorView } from "./actor-view.ts";

/** A message to publish. */
export interface WorldDraft {
  readonly subject: string;
  /** Travels as the header `number`, and as the message id. */
  readonly number: number;
  readonly body: Uint8Array;
  readonly ttlMs?: number | undefined;
  readonly delayMs?: number | undefined;
  /** The body is put by the publisher itself, who publishes a pointer to it. */
  readonly byPointer?: boolean | undefined;
}

/** What came of it. */
export type WorldOutcome =
  | { readonly kind: "committed"; readonly sequence: number; readonly timestampMs: number }
  | { readonly kind: "scheduled"; readonly dueAtMs: number }
  | { readonly kind: "refused"; readonly code: string };

/** A message as it was served. */
export interface WorldMessage {
  readonly sequence: number;
  readonly timestampMs: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** All that is stored of one subject. */
export interface WorldSubject {
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly messages: readonly WorldMessage[];
}

/** Consumers of every subject: `explicit` unless their name is `all`. */
export interface WorldConsumer {
  readonly subject: string;
  readonly name: string;
  /** Gives up at the first nack, to this subject. */
  readonly deadLetter?: string | undefined;
}

/** What was found where everything was looked at. */
export interface Inspection {
  /** What is wrong, a sentence each. */
  readonly wrong: readonly string[];
  /** The application actor; undefined where there is none. */
  readonly actor: ActorView | undefined;
}

/** Nodes that run an application actor (`seen.ts`), of which one owns it at a time; by their numbers, from 0. */
export interface WorldActors {
  /** Lets it work for a moment; where time runs it does so by itself. */
  readonly work: () => Promise<void>;
  /** Until it has worked off everything. */
  readonly settle: () => Promise<void>;
  readonly rebuild: () => Promise<void>;
  /** A node dies, after so many steps of its own where they can be counted. */
  readonly dieSoon: (node: number, steps: number) => Promise<void>;
  /** A node stands still, as `dieSoon`, and does not know it. */
  readonly freezeSoon: (node: number, steps: number) => Promise<void>;
  /** A node loses its connection once, as `dieSoon`: a call, or the answer to one. Nothing where that cannot be done. */
  readonly cutSoon: (node: number, steps: number) => Promise<void>;
  /** Nodes that died start again, those that stand still go on. */
  readonly wake: () => Promise<void>;
  /** The actor at one moment; undefined where only an inspection sees it. */
  readonly look: () => Promise<ActorView | undefined>;
}

/** See the module. A damaged or missing body rejects. */
export interface World extends AsyncDisposable {
  /** Whether time stands still unless `advance` moves it; else it runs, and what takes time is waited for. */
  readonly isTimed: boolean;
  /** Unix milliseconds, when time stands still. */
  nowMs(): number;
  advance(ms: number): Promise<void>;

  addConsumer(consumer: WorldConsumer): Promise<void>;
  publish(drafts: readonly WorldDraft[]): Promise<readonly WorldOutcome[]>;
  read(subject: string): Promise<WorldSubject>;
  /** The body of one message by the address of its pointer; undefined when it is gone. */
  follow(subject: string, sequence: number): Promise<Uint8Array | undefined>;
  fetch(subject: string, consumer: string, limit: number): Promise<readonly WorldMessage[]>;
  ack(subject: string, consumer: string, sequences: readonly number[] | number): Promise<void>;
  nack(subject: string, consumer: string, sequences: readonly number[]): Promise<void>;
  /** Sends dead letters of a consumer back; answers how many, of the last life if it died meanwhile. */
  redrive(subject: string, consumer: string, limit: number): Promise<number>;
  purge(subject: string, through: number): Promise<void>;
  /** Null takes it away. */
  putPolicy(subject: string, policy: RetentionPolicy | null): Promise<void>;
  /** Everything of upkeep once; nothing where the world sweeps by itself. */
  sweep(): Promise<void>;
  /** An upload that is put, or not even that, and never published. */
  leaveUpload(subject: string, body: Uint8Array | undefined): Promise<void>;
  /** Dies within the next verbs, after so many steps of its own. */
  crashSoon(steps: number): void;
  /** A clean stop and a new start. */
  restart(): Promise<void>;
  /** How often it died. */
  readonly deaths: number;
  /** Undefined where no application actor runs. */
  readonly actors: WorldActors | undefined;

  /**
   * Looks at everything while nothing else happens: the doctor's view of the stores, objects that nothing points into
   * and that are there longer than they may, and the application actor.
   */
  inspect(): Promise<Inspection>;
}
