/**
 * Events of one type in one direction, read from the stream a window at a time: what the pages are merged from.
 * Messages that are no events, damaged ones, and those that the filter leaves out, are passed over.
 * @module
 */
import type { Broker } from "../broker/contract.ts";
import { type EventType, eventSubject } from "../core/event.ts";
import { pageBodyBytesMax } from "../core/limits.ts";
import type { Sequence } from "../core/message.ts";
import type { StartPosition } from "../core/start.ts";
import type { StoredEvent } from "./contract.ts";
import { type EventsRead, RecentEvents } from "./recent.ts";

/** Events read ahead by one lane in one go, at most. */
const windowMax = 1000;
/** Windows of sequences grow this far over stretches without messages. */
const spanMax = 2 ** 40;

/** What lanes of one page share. */
export interface LaneOptions {
  readonly broker: Broker;
  /** Left out where so much is looked at that nothing of it is worth remembering. */
  readonly recent?: RecentEvents | undefined;
  /** How many messages a lane reads first; more with every further window. */
  readonly window: number;
  /** Only events of this user. */
  readonly userId?: string | undefined;
  /** Nothing that was committed before, Unix milliseconds. */
  readonly sinceMs?: number | undefined;
}

/** One type in one direction. */
export interface Lane {
  readonly type: EventType;
  /** The next event, when one has been read ahead. */
  readonly next: StoredEvent | undefined;
  /** Nothing is left behind what has been read ahead. */
  readonly exhausted: boolean;
  /** For a cursor: see `EventPositions`. */
  readonly position: Sequence;
  /** Takes the next event away. */
  shift(): void;
  /** Reads ahead; tells how many messages were looked at. @throws StreamError as `Broker.read` */
  fill(): Promise<number>;
}

const readPage = (
  { broker, recent = new RecentEvents() }: LaneOptions,
  type: EventType,
  from: StartPosition,
  limit: number,
): Promise<EventsRead> =>
  recent.read(broker, { subject: eventSubject(type), from, limit, bodyBytesMax: pageBodyBytesMax, waitMs: 0 });

/** What of a page is asked for, in the order of the sequences. */
const eventsOf = (
  { messages }: EventsRead,
  { userId, sinceMs = 0 }: LaneOptions,
  before = Number.POSITIVE_INFINITY,
): StoredEvent[] => {
  const found: StoredEvent[] = [];
  for (const message of messages) {
    if (message.sequence >= before) break;
    if (message.timestampMs < sinceMs) continue;
    const { stored } = message;
    if (stored === undefined || (userId !== undefined && stored.event.userId !== userId)) continue;
    found.push(stored);
  }
  return found;
};

/** Forward, from a position or from wherever the events begin. */
export class OldestLane implements Lane {
  readonly #ahead: StoredEvent[] = [];
  #from: StartPosition;
  #position: Sequence = 1;
  #window: number;
  exhausted = false;

  constructor(
    readonly type: EventType,
    private readonly options: LaneOptions,
    position: Sequence | undefined,
  ) {
    this.#window = options.window;
    if (position !== undefined) {
      this.#position = position;
      this.#from = { kind: "sequence", sequence: position };
    } else {
      const { sinceMs } = options;
      this.#from = sinceMs === undefined ? { kind: "first" } : { kind: "time", timestampMs: sinceMs };
    }
  }

  get next(): StoredEvent | undefined {
    return this.#ahead[0];
  }

  get position(): Sequence {
    return this.#ahead[0]?.event.sequence ?? this.#position;
  }

  shift(): void {
    this.#ahead.shift();
  }

  async fill(): Promise<number> {
    const page = await readPage(this.options, this.type, this.#from, this.#window);
    this.#window = Math.min(this.#window * 2, windowMax);
    this.#ahead.push(...eventsOf(page, this.options));
    this.#position = Math.max(page.nextSequence, 1);
    this.#from = { kind: "sequence", sequence: this.#position };
    this.exhausted = this.#position > page.lastSequence;
    return Math.max(page.messages.length + page.damaged.length, 1);
  }
}

/** Backward: windows of sequences whose ends meet, each read forward. */
export class NewestLane implements Lane {
  /** In the order of the sequences: the next event is the last one. */
  #ahead: StoredEvent[] = [];
  /** Everything from here on has been looked at; undefined before the end is known. */
  #before: Sequence | undefined;
  /** Sequences in the next window. */
  #span: number;
  #window: number;
  exhausted = false;

  constructor(
    readonly type: EventType,
    private readonly options: LaneOptions,
    before: Sequence | undefined,
  ) {
    this.#before = before;
    this.#window = options.window;
    this.#span = options.window;
  }

  get next(): StoredEvent | undefined {
    return this.#ahead.at(-1);
  }

  get position(): Sequence {
    const next = this.#ahead.at(-1);
    return next === undefined ? Math.max(this.#before ?? 1, 1) : next.event.sequence + 1;
  }

  shift(): void {
    this.#ahead.pop();
  }

  async fill(): Promise<number> {
    const before = this.#before ?? (await this.#end());
    const start = Math.max(1, before - this.#span);
    if (before <= 1) {
      this.exhausted = true;
      this.#before = 1;
      return 1;
    }
    const page = await this.#read(start);
    // A stretch where messages are gone made the window wide, and now it is too wide to be read in one go: its upper
    // half is the newer one.
    const isCut = page.nextSequence < before && page.nextSequence <= page.lastSequence;
    if (isCut && this.#span > this.#window) {
      this.#span = Math.max(this.#window, Math.floor(this.#span / 2));
      return page.messages.length + page.damaged.length;
    }
    let looked = page.messages.length + page.damaged.length;
    const found = eventsOf(page, this.options, before);
    // Large bodies end a page early: the rest of the window is newer still.
    for (let last = page; last.nextSequence < before && last.nextSequence <= last.lastSequence; ) {
      last = await this.#read(last.nextSequence);
      looked += last.messages.length + last.damaged.length;
      found.push(...eventsOf(last, this.options, before));
    }
    // Empty when the messages that came lie behind the window.
    const oldest = [...page.messages.slice(0, 1), ...page.damaged.slice(0, 1)];
    const isEmpty = oldest.every(({ sequence }) => sequence >= before);
    this.#ahead = found;
    this.#before = start;
    const first = page.messages[0];
    const isPastSince = first !== undefined && first.timestampMs < (this.options.sinceMs ?? 0);
    this.exhausted = start <= page.firstSequence || isPastSince;
    this.#window = Math.min(this.#window * 2, windowMax);
    this.#span = isEmpty ? Math.min(this.#span * 8, spanMax) : this.#window;
    return Math.max(looked, 1);
  }

  /** The sequence behind the last message. */
  async #end(): Promise<Sequence> {
    const { lastSequence } = await this.options.broker.readEnvelopes({
      subject: eventSubject(this.type),
      from: { kind: "last" },
      limit: 1,
      bodyBytesMax: 1,
      waitMs: 0,
    });
    return lastSequence + 1;
  }

  #read(from: Sequence): Promise<EventsRead> {
    return readPage(this.options, this.type, { kind: "sequence", sequence: from }, this.#window);
  }
}
