/**
 * Reads pages of messages: envelopes from metadata, bodies from storage, every body checked. What is damaged is told
 * apart and never handed out. A body that is not where its envelope says may have been moved together with others since
 * (`src/upkeep/compaction.ts`): it is looked up once more before it counts as lost.
 * @module
 */
import type { RecentMessage } from "../../actors/committer.ts";
import type { BodyStore } from "../bodies/contract.ts";
import type { VerifiedBodies } from "../bodies/verified.ts";
import { StreamError } from "../core/errors.ts";
import { pageBodyBytesMax } from "../core/limits.ts";
import type { BodyRef, Envelope, Head, Sequence } from "../core/message.ts";
import type { BodyPointer } from "../core/pointer.ts";
import type { Subject } from "../core/subject.ts";
import type { EnvelopePage, MetadataStore, PageBounds } from "../metadata/contract.ts";
import { codingHeader, codingsOf, decodeStream, decodeWhole, UndecodableError, withoutCodings } from "./codings.ts";
import type { DamagedMessage, DeliverAs, Delivery, StoredMessage } from "./contract.ts";

/** Messages with their bodies, and those that are damaged. */
export interface LoadedMessages {
  readonly messages: readonly Delivery[];
  readonly damaged: readonly DamagedMessage[];
}

/** A page of one subject with bodies. */
export interface LoadedPage extends LoadedMessages {
  readonly head: Head;
  readonly nextSequence: Sequence;
}

/** An envelope as a range or a pull gives it; `deliveries` is 1 where it has none. */
export type LoadableEnvelope = Envelope & { readonly deliveries?: number };

/** What a reader works with. */
export interface ReaderOptions {
  readonly metadata: MetadataStore;
  readonly bodies: BodyStore;
  readonly verified: VerifiedBodies;
  /** Largest body in bytes, decoded or not. */
  readonly bodyBytesMax: number;
  /** How long pointers work, in milliseconds; to a message with a time to live no longer than that. */
  readonly pointerLifetimeMs: number;
  /** A signed address with what has to go before it. */
  readonly wholeUrl: (url: string) => string;
  /** Unix milliseconds. */
  readonly clock: () => number;
}

/** Pointers on one page: each is signed, and as long as a small message. */
const pagePointersMax = 1000;
/** Signed in one go before others get their turn. */
const turnPointersMax = 100;
/** Bodies on one page that is to be decoded, before they are. */
const pageCodedBytesMax = 1024 * 1024;
/** Envelopes asked for at a time when bodies are not where they were. */
const lookUpMax = 1000;

/** Where to go on after a page that was asked for from `from`. On an empty one nothing is left up to the last sequence. */
export const nextSequence = (from: Sequence, { head, envelopes }: EnvelopePage): Sequence => {
  const last = envelopes.at(-1);
  return last === undefined ? Math.max(from, head.lastSequence + 1) : last.sequence + 1;
};

/** Bounds of a page, and of the decoded bodies on it together; a single larger one still comes. */
export interface ReadBounds extends PageBounds {
  readonly decodedBytesMax: number;
}

/**
 * Bounds of a page by what is wanted of the bodies: pointers weigh the same whatever they point at, what is decoded
 * grows.
 */
export const boundsFor = (deliver: DeliverAs | undefined, asked: PageBounds): ReadBounds => ({
  ...storedBounds(deliver, asked),
  decodedBytesMax: Math.min(asked.bodyBytesMax, pageBodyBytesMax),
});

const storedBounds = (deliver: DeliverAs | undefined, { limit, bodyBytesMax }: PageBounds): PageBounds => {
  switch (deliver) {
    case "pointer":
      return {
        limit: Math.min(limit, pagePointersMax),
        bodyBytesMax: bodyBytesMax >= pageBodyBytesMax ? Number.MAX_SAFE_INTEGER : bodyBytesMax,
      };
    case "decoded":
      return { limit, bodyBytesMax: Math.min(bodyBytesMax, pageCodedBytesMax) };
    case "body":
    case undefined:
      return { limit, bodyBytesMax: Math.min(bodyBytesMax, pageBodyBytesMax) };
  }
};

/** Reads messages for every verb. */
export class Reader {
  readonly #options: ReaderOptions;

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  /** @param bounds see `boundsFor` @throws StreamError `unavailable` */
  async page(subject: Subject, from: Sequence, bounds: ReadBounds, deliver: DeliverAs = "body"): Promise<LoadedPage> {
    const page = await this.#options.metadata.range(subject, from, bounds);
    const next = nextSequence(from, page);
    if (deliver !== "decoded") {
      return { ...(await this.load(page.envelopes, deliver)), head: page.head, nextSequence: next };
    }
    const read = await this.#read(page.envelopes);
    const messages = await this.#decode(read.messages, { bytesMax: bounds.decodedBytesMax, isCut: true });
    // Decoded they may be too much for one page, which ends earlier then.
    const end = read.messages[messages.length]?.sequence ?? next;
    const damaged = read.damaged.filter(({ sequence }) => sequence < end);
    return { messages, damaged, head: page.head, nextSequence: end };
  }

  /**
   * Envelopes of one subject as they are wanted; each is among the messages or the damaged ones, unless it is not stored
   * any more. @param decodedBytesMax what is decoded beyond it comes as published @throws StreamError `unavailable`
   */
  async load(
    envelopes: readonly LoadableEnvelope[],
    deliver: DeliverAs = "body",
    decodedBytesMax = pageBodyBytesMax,
  ): Promise<LoadedMessages> {
    if (envelopes.length === 0) return { messages: [], damaged: [] };
    if (deliver === "pointer") return { messages: await this.#point(envelopes), damaged: [] };
    const read = await this.#read(envelopes);
    if (deliver === "body") return read;
    const messages = await this.#decode(read.messages, { bytesMax: decodedBytesMax, isCut: false });
    return { messages, damaged: read.damaged };
  }

  /** Messages that are in memory, as they are wanted. @throws StreamError `unavailable` */
  async recent(messages: readonly RecentMessage[], deliver: DeliverAs): Promise<readonly Delivery[]> {
    if (deliver === "pointer") return this.#point(messages.map((message) => ({ ...message, body: message.ref })));
    const bytesMax = Math.max(pageBodyBytesMax, this.#options.bodyBytesMax);
    const deliveries = messages.map((message) => toDelivery({ ...message, body: message.ref }, message.body));
    return deliver === "body" ? deliveries : this.#decode(deliveries, { bytesMax, isCut: true });
  }

  /** One message, to be streamed. */
  stored(envelope: Envelope): StoredMessage {
    return new Stored(envelope, this, this.#options);
  }

  /** @throws StreamError `invalid_parameter` for an empty body, which is nowhere */
  async pointer({ headers, body, expiresAtMs = Number.MAX_SAFE_INTEGER }: Envelope): Promise<BodyPointer> {
    if (body.length === 0) {
      throw new StreamError("invalid_parameter", "An empty body is stored nowhere, so nothing can point at it.", {
        parameter: "deliver",
      });
    }
    const { bodies, pointerLifetimeMs, wholeUrl, clock } = this.#options;
    const signed = await bodies.pointer(body, Math.max(0, Math.min(pointerLifetimeMs, expiresAtMs - clock())));
    const pointer = { ...signed, url: wholeUrl(signed.url) };
    const published = headers[codingHeader];
    if (published === undefined) return pointer;
    const codings = pointer.contentEncoding === undefined ? published : `${published}, ${pointer.contentEncoding}`;
    return { ...pointer, contentEncoding: codings };
  }

  /** The envelopes as they are now, by sequence; what is not stored any more is left out. */
  async lookUp(envelopes: readonly Envelope[]): Promise<ReadonlyMap<Sequence, Envelope>> {
    const found = new Map<Sequence, Envelope>();
    const [first] = envelopes;
    if (first === undefined) return found;
    const wanted = new Set(envelopes.map(({ sequence }) => sequence));
    const last = Math.max(...wanted);
    const bounds = { limit: lookUpMax, bodyBytesMax: Number.MAX_SAFE_INTEGER };
    for (let from = Math.min(...wanted); ; ) {
      const page = await this.#options.metadata.range(first.subject, from, bounds);
      for (const envelope of page.envelopes) if (wanted.has(envelope.sequence)) found.set(envelope.sequence, envelope);
      const end = page.envelopes.at(-1);
      if (end === undefined || found.size === wanted.size || end.sequence >= last) return found;
      from = end.sequence + 1;
    }
  }

  async #read(envelopes: readonly LoadableEnvelope[]): Promise<LoadedMessages> {
    const bodies = await this.#options.verified.read(envelopes);
    const messages: Delivery[] = [];
    const damaged: DamagedMessage[] = [];
    const lost: LoadableEnvelope[] = [];
    for (const [index, envelope] of envelopes.entries()) {
      const body = bodies[index];
      if (body === undefined) throw leftOut();
      if (body instanceof Uint8Array) messages.push(toDelivery(envelope, body));
      else if (isDataLoss(body)) {
        damaged.push({ subject: envelope.subject, sequence: envelope.sequence, error: body });
        lost.push(envelope);
      } else throw body;
    }
    return lost.length === 0 ? { messages, damaged } : this.#readMoved(lost, { messages, damaged });
  }

  /** Looks for lost bodies where they are now. */
  async #readMoved(lost: readonly LoadableEnvelope[], read: LoadedMessages): Promise<LoadedMessages> {
    const now = await this.lookUp(lost);
    const moved = lost.flatMap((envelope) => {
      const known = now.get(envelope.sequence);
      return known === undefined || isSamePlace(known.body, envelope.body) ? [] : { ...envelope, body: known.body };
    });
    const stored = read.damaged.filter(({ sequence }) => now.has(sequence));
    if (moved.length === 0) return { messages: read.messages, damaged: stored };
    const bodies = await this.#options.verified.read(moved);
    const messages = [...read.messages];
    const damaged = new Map(stored.map((message) => [message.sequence, message]));
    for (const [index, envelope] of moved.entries()) {
      const body = bodies[index];
      if (body === undefined) throw leftOut();
      if (body instanceof Uint8Array) {
        messages.push(toDelivery(envelope, body));
        damaged.delete(envelope.sequence);
      } else if (!isDataLoss(body)) throw body;
    }
    return { messages: messages.sort((a, b) => a.sequence - b.sequence), damaged: [...damaged.values()] };
  }

  async #point(envelopes: readonly LoadableEnvelope[]): Promise<readonly Delivery[]> {
    const messages: Delivery[] = [];
    for (const [index, envelope] of envelopes.entries()) {
      if (index % turnPointersMax === turnPointersMax - 1) await new Promise((resolve) => setImmediate(resolve));
      const delivery = toDelivery(envelope, nothing);
      messages.push(envelope.body.length === 0 ? delivery : { ...delivery, pointer: await this.pointer(envelope) });
    }
    return messages;
  }

  /** Past `bytesMax` the rest is left out (`isCut`; the first comes always), or comes as published. */
  async #decode(
    messages: readonly Delivery[],
    { bytesMax, isCut }: { readonly bytesMax: number; readonly isCut: boolean },
  ): Promise<readonly Delivery[]> {
    const decoded: Delivery[] = [];
    let leftBytes = bytesMax;
    for (const message of messages) {
      const isAlone = decoded.length === 0;
      const codings = codingsOf(message.headers);
      const roomBytes = isAlone || isCut ? this.#options.bodyBytesMax : Math.min(leftBytes, this.#options.bodyBytesMax);
      const body = codings === undefined ? undefined : await decodeWhole(message.body, codings, roomBytes);
      const next = body === undefined ? message : withBody(message, body);
      leftBytes -= next.body.length;
      if (isCut && !isAlone && leftBytes < 0) return decoded;
      decoded.push(next);
    }
    return decoded;
  }
}

/** A body up to this size is decoded before it is handed out; larger ones are decoded twice. */
const decodedWholeBytesMax = 1024 * 1024;

/** One message whose body is streamed. */
class Stored implements StoredMessage {
  constructor(
    readonly envelope: Envelope,
    private readonly reader: Reader,
    private readonly options: ReaderOptions,
  ) {}

  async body(range?: {
    readonly start: number;
    readonly end: number;
  }): Promise<Uint8Array | AsyncIterable<Uint8Array>> {
    return this.#whereItIs((envelope) => this.options.verified.open(envelope, range));
  }

  async decoded(): Promise<AsyncIterable<Uint8Array> | null> {
    const codings = codingsOf(this.envelope.headers);
    if (codings === undefined) return null;
    const { verified, bodyBytesMax } = this.options;
    return this.#whereItIs(async (envelope) => {
      // Whether it decodes, and is what was published, has to be known before the first byte of it is handed out.
      const decode = () => decodeStream(verified.onTheWay(envelope), codings, bodyBytesMax);
      const whole: Uint8Array[] = [];
      let bytes = 0;
      try {
        for await (const chunk of decode()) {
          bytes += chunk.length;
          if (bytes <= decodedWholeBytesMax) whole.push(chunk);
          else whole.length = 0;
        }
      } catch (thrown) {
        if (thrown instanceof UndecodableError) return null;
        throw thrown;
      }
      return bytes <= decodedWholeBytesMax ? chunksOf(whole) : decode();
    });
  }

  pointer(): Promise<BodyPointer> {
    return this.reader.pointer(this.envelope);
  }

  /** Reads; when the body is lost, once more where it has been moved to. */
  async #whereItIs<T>(read: (envelope: Envelope) => Promise<T>): Promise<T> {
    const { envelope } = this;
    try {
      return await read(envelope);
    } catch (thrown) {
      if (!isDataLoss(thrown)) throw thrown;
      const now = (await this.reader.lookUp([envelope])).get(envelope.sequence);
      if (now === undefined || isSamePlace(now.body, envelope.body)) throw thrown;
      return read(now);
    }
  }
}

const nothing = new Uint8Array(0);

async function* chunksOf(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void> {
  yield* chunks;
}

const isDataLoss = (thrown: unknown): boolean => thrown instanceof StreamError && thrown.code === "data_loss";

const leftOut = (): StreamError => new StreamError("internal", "A read left a body out.");

const isSamePlace = (a: BodyRef, b: BodyRef): boolean => a.object === b.object && a.offset === b.offset;

/** The message decoded; its checksum is that of the bytes that it comes with. */
const withBody = (message: Delivery, body: Uint8Array): Delivery => ({
  ...message,
  headers: withoutCodings(message.headers),
  body,
  sha256: Bun.SHA256.hash(body, new Uint8Array(32)) as Uint8Array,
});

const toDelivery = (envelope: LoadableEnvelope, body: Uint8Array): Delivery => ({
  subject: envelope.subject,
  sequence: envelope.sequence,
  timestampMs: envelope.timestampMs,
  headers: envelope.headers,
  body,
  sha256: envelope.body.sha256,
  expiresAtMs: envelope.expiresAtMs,
  deliveries: envelope.deliveries ?? 1,
});
