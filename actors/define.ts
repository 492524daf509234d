/**
 * Application actors: durable processors of the stream, a file each. An actor is fed every message of its filter, in
 * order per subject; what it changes (its state, its table, its alarm) and what it publishes is stored in one transaction
 * together with how far it is, so that neither a crash nor a second server repeats or loses an effect. What was deleted or
 * had expired before the actor came to it is not fed; an actor keeps no message from going.
 *
 * What must not depend on when it runs (a rebuild works off everything again) is taken from the message: its time is
 * `context.now`. What it does to the world outside, in requests of its own, may happen more than once.
 *
 * @example Counts the orders of each customer and tells of every tenth.
 * ```ts
 * import { defineActor, jsonRows } from "./define.ts";
 *
 * export default defineActor({
 *   name: "loyalty",
 *   filter: "orders.*",
 *   state: { orders: 0 },
 *   rows: jsonRows<{ orders: number }>(),
 *   async onMessage(message, { state, table, publish }) {
 *     const { customer } = message.json() as { customer: string };
 *     const orders = ((await table.get(customer))?.orders ?? 0) + 1;
 *     table.put(customer, { orders });
 *     state.orders++;
 *     if (orders % 10 === 0) publish({ subject: "loyalty.gifts", data: { customer, orders } });
 *   },
 * });
 * ```
 * @module
 */
import type { Headers, Sequence } from "../src/core/message.ts";
import {
  type ConsumerName,
  filterMatches,
  filterSubject,
  parseConsumerName,
  parseFilter,
  parseSubject,
  type Subject,
  type SubjectFilter,
} from "../src/core/subject.ts";

/** What an actor is fed. */
export interface ActorMessage {
  readonly subject: Subject;
  readonly sequence: Sequence;
  /** When it was committed, Unix milliseconds; never decreasing within a subject. */
  readonly timestampMs: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
  /** The body as UTF-8. @throws TypeError when it is none */
  text(): string;
  /** The body as JSON has it. @throws Error when it is none */
  json(): unknown;
}

/** A message that an actor publishes. */
export interface ActorPublish {
  readonly subject: string;
  /** Text as UTF-8, bytes as they are, anything else as JSON. */
  readonly data: string | Uint8Array | object;
  readonly headers?: Headers | undefined;
  /** Within the dedupe window the same id on the same subject is the same message; not needed for exactly once. */
  readonly messageId?: string | undefined;
}

/** A row of an actor's table. */
export interface TableRow<Row> {
  readonly key: string;
  readonly value: Row;
}

/** Which rows: `from` <= key < `to`, in byte order. */
export interface TableRange {
  /** The beginning when left out. */
  readonly from?: string | undefined;
  /** The end when left out. */
  readonly to?: string | undefined;
  /** 1 to 1,000; 100 when left out. */
  readonly limit?: number | undefined;
}

/**
 * Rows that only this actor changes, for what is too much for its state: keys of 1 to 255 bytes, values to 64 KiB. It
 * shows what was changed before, in this very message too.
 */
export interface ActorTable<Row> {
  /** Await it; a row that is known already comes at once. */
  get(key: string): Promise<Row | undefined> | Row | undefined;
  /** Keeps the value as it is now. */
  put(key: string, value: Row): void;
  delete(key: string): void;
  list(range?: TableRange): Promise<readonly TableRow<Row>[]>;
}

/** Where an actor writes what operators should see. */
export interface ActorLog {
  info(event: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(event: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** What an actor may use while it handles something; gone when that has ended. May be taken apart. */
export interface ActorContext<State extends object, Row> {
  /** Its own: change it in place. As JSON at most 1 MiB. */
  readonly state: State;
  readonly table: ActorTable<Row>;
  /** Publishes together with everything else that is changed. Not again in a rebuild. */
  readonly publish: (message: ActorPublish) => void;
  /** Calls `onAlarm` once at that time (Unix milliseconds), in place of what was set before; null takes it away. */
  readonly setAlarm: (at: number | Date | null) => void;
  /** Unix milliseconds: when the message was committed, or the time that the alarm was set to. */
  readonly now: number;
  readonly log: ActorLog;
}

/** How rows are stored. */
export interface RowCodec<Row> {
  write(row: Row): Uint8Array;
  read(bytes: Uint8Array): Row;
  /** Rows are never changed in place, only put anew: then they need not be written and read again in between. */
  readonly isImmutable?: boolean | undefined;
}

/** Rows as JSON; nobody but the actor writes them, so what is read is taken for what it wrote. */
export const jsonRows = <Row>(): RowCodec<Row> => ({
  write: (row) => Buffer.from(JSON.stringify(row), "utf8"),
  read: (bytes) => JSON.parse(utf8.decode(bytes)) as Row,
});

const utf8 = new TextDecoder();

/** What an actor is. */
export interface ActorSpec<State extends object, Row> {
  /** Its name in all servers, of the characters of a consumer name. */
  readonly name: string;
  /** What it is fed: a subject, or with `*` and `>`. Its own dead letters it is not. */
  readonly filter: string;
  /** The state before the first message, as JSON has it. */
  readonly state: State;
  /** How the rows of its table are stored; as JSON of any shape when left out. */
  readonly rows?: RowCodec<Row> | undefined;
  /** Handles one message. When it throws, nothing of it has happened, and it is tried again. */
  onMessage(message: ActorMessage, context: ActorContext<State, Row>): void | Promise<void>;
  /** Handles the alarm that was set, which is over then. */
  onAlarm?(context: ActorContext<State, Row>): void | Promise<void>;
  /** How often a message is tried before it goes to the dead letters, 1 to 100; 5 when left out. */
  readonly attemptsMax?: number | undefined;
  /** Where messages go that it keeps failing on; `actors.{name}.dead-letters` when left out. */
  readonly deadLetter?: string | undefined;
  /** How long it may take over one message, in milliseconds; 30,000 when left out. */
  readonly handleMsMax?: number | undefined;
}

/** A checked definition. */
export interface ActorDefinition<State extends object = object, Row = unknown> {
  readonly name: ConsumerName;
  readonly filter: SubjectFilter;
  readonly state: State;
  readonly rows: RowCodec<Row>;
  onMessage(message: ActorMessage, context: ActorContext<State, Row>): void | Promise<void>;
  onAlarm?(context: ActorContext<State, Row>): void | Promise<void>;
  readonly attemptsMax: number;
  readonly deadLetter: Subject;
  readonly handleMsMax: number;
}

/** What this server was told that actors need to know. */
export interface ActorSettings {
  /** Business events that come later than this count as late, in milliseconds. */
  readonly eventsLatenessMs: number;
}

/** What the file of an actor exports by default. */
export type ActorModule = ActorDefinition | ((settings: ActorSettings) => ActorDefinition);

const attemptsDefault = 5;
const handleMsDefault = 30_000;

/** Where an actor's messages go that it keeps failing on, unless it says otherwise. */
export const deadLetterSubject = (name: string): Subject => parseSubject(`actors.${name}.dead-letters`);

/**
 * Defines an actor; the types of its state and its rows follow from what is given. See the module for an example.
 * @throws StreamError `invalid_consumer`, `invalid_filter`, `invalid_subject`; TypeError for the rest
 */
export const defineActor = <State extends object, Row = unknown>(
  spec: ActorSpec<State, Row>,
): ActorDefinition<State, Row> => {
  const { attemptsMax = attemptsDefault, handleMsMax = handleMsDefault } = spec;
  // As a file may have it that nobody checked.
  const { state }: { readonly state: unknown } = spec;
  const name = parseConsumerName(spec.name);
  const filter = parseFilter(spec.filter);
  // Also where another is given: nodes that do not know the definition show this one.
  const usual = deadLetterSubject(name);
  const deadLetter = spec.deadLetter === undefined ? usual : parseSubject(spec.deadLetter);
  if (filterSubject(filter) !== undefined && filterMatches(filter, deadLetter)) {
    throw new TypeError("deadLetter must be another subject than the one that the actor is fed.");
  }
  if (typeof spec.onMessage !== "function") throw new TypeError("onMessage must be a function.");
  if (spec.onAlarm !== undefined && typeof spec.onAlarm !== "function") {
    throw new TypeError("onAlarm must be a function.");
  }
  if (typeof state !== "object" || state === null) throw new TypeError("state must be an object.");
  if (!Number.isInteger(attemptsMax) || attemptsMax < 1 || attemptsMax > 100) {
    throw new TypeError("attemptsMax must be a whole number from 1 to 100.");
  }
  if (!(handleMsMax >= 1)) throw new TypeError("handleMsMax must be a number of milliseconds, at least 1.");
  return {
    name,
    filter,
    state: spec.state,
    rows: spec.rows ?? jsonRows<Row>(),
    onMessage: (message, context) => spec.onMessage(message, context),
    ...(spec.onAlarm === undefined ? {} : { onAlarm: (context) => spec.onAlarm?.(context) }),
    attemptsMax,
    deadLetter,
    handleMsMax,
  };
};
