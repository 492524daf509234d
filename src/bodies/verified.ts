/**
 * The one reader above a body store: no byte leaves it that was not checked against the SHA-256 of its envelope. Stores
 * do not verify, and nobody else reads them.
 * @module
 */
import { StreamError } from "../core/errors.ts";
import type { BodyRef, Envelope } from "../core/message.ts";
import { type BodyFault, type BodyStore, type ByteRange, isBodyFault } from "./contract.ts";

/** A body up to this size is opened whole; it also is what is hashed at a time, in 0.6 ms. */
const wholeBytesMax = 1024 * 1024;
/** Hashed in one go before others get their turn. */
const turnBytesMax = 2 * 1024 * 1024;

/** Verified bodies. */
export class VerifiedBodies {
  readonly #store: BodyStore;
  /** The digest of the body at hand; nothing waits between filling it and comparing it. */
  readonly #digest = new Uint8Array(32);

  constructor(store: BodyStore) {
    this.#store = store;
  }

  /**
   * Whole bodies in the order of the envelopes; in place of one that is damaged or gone `data_loss`, of one that could
   * not be read now `unavailable`, each with `subject` and `sequence`.
   * @throws StreamError `unavailable` when nothing can be read
   */
  async read(envelopes: readonly Envelope[]): Promise<readonly (Uint8Array | StreamError)[]> {
    const verified = [...(await this.#readOnce(envelopes))];
    // A byte may be lost on the way instead of in the store, and a loss is told to subscribers only once: what looks
    // damaged is read again before it is called so.
    const doubtful = [...verified.keys()].filter((index) => isLoss(verified[index]));
    if (doubtful.length === 0) return verified;
    const again = await this.#readOnce(doubtful.flatMap((index) => envelopes[index] ?? []));
    for (const [place, index] of doubtful.entries()) {
      const second = again[place];
      if (second !== undefined) verified[index] = second;
    }
    return verified;
  }

  async #readOnce(envelopes: readonly Envelope[]): Promise<readonly (Uint8Array | StreamError)[]> {
    const results = await this.#store.read(envelopes.map((envelope) => envelope.body));
    const turn = new Turn();
    const verified: (Uint8Array | StreamError)[] = [];
    for (const [index, envelope] of envelopes.entries()) {
      const result = results[index] ?? { fault: "missing" };
      if (isBodyFault(result)) verified.push(faultError(envelope, result));
      else if (await this.#matches(envelope.body, result, turn)) verified.push(result);
      else verified.push(damaged(envelope));
    }
    return verified;
  }

  /**
   * A body, or a range of it that lies inside: bytes up to 1 MiB, chunks of at most 1 MiB above. The whole body is
   * verified before this resolves. A whole body is verified once more on its way, and iterating rejects at the end when
   * it changed in between, so that the transport can cut the connection.
   * @throws StreamError `data_loss`, `unavailable`, also while iterating
   */
  async open(envelope: Envelope, range?: ByteRange): Promise<Uint8Array | AsyncIterable<Uint8Array>> {
    const ref = envelope.body;
    if (ref.length <= wholeBytesMax) {
      const [body] = await this.read([envelope]);
      if (body === undefined) throw damaged(envelope);
      if (body instanceof StreamError) throw body;
      return range === undefined ? body : body.subarray(range.start, range.end);
    }
    await exhaust(this.#verifiedStream(envelope));
    const isWhole = range === undefined || (range.start === 0 && range.end === ref.length);
    return isWhole ? this.#verifiedStream(envelope) : this.#rawStream(envelope, range);
  }

  /**
   * A whole body that is verified on its way: for whoever lets nothing out before the end, where iterating rejects when
   * it is damaged.
   * @throws StreamError `data_loss`, `unavailable`, while iterating
   */
  onTheWay(envelope: Envelope): AsyncIterable<Uint8Array> {
    return this.#verifiedStream(envelope);
  }

  async #matches(ref: BodyRef, body: Uint8Array, turn: Turn): Promise<boolean> {
    if (body.length !== ref.length) return false;
    if (turn.spend(body.length)) await turn.end();
    if (body.length > wholeBytesMax) return Buffer.compare(await hashInTurns(body, turn), ref.sha256) === 0;
    Bun.SHA256.hash(body, this.#digest);
    return Buffer.compare(this.#digest, ref.sha256) === 0;
  }

  async *#verifiedStream(envelope: Envelope): AsyncIterable<Uint8Array> {
    const hasher = new Bun.CryptoHasher("sha256");
    for await (const chunk of this.#rawStream(envelope)) {
      hasher.update(chunk);
      yield chunk;
    }
    if (Buffer.compare(hasher.digest(), envelope.body.sha256) !== 0) throw damaged(envelope);
  }

  async *#rawStream(envelope: Envelope, range?: ByteRange): AsyncIterable<Uint8Array> {
    try {
      yield* this.#store.stream(envelope.body, range);
    } catch (thrown) {
      const isLoss = thrown instanceof StreamError && thrown.code === "data_loss";
      throw faultError(envelope, { fault: isLoss ? "missing" : "failed", cause: thrown });
    }
  }
}

const isLoss = (result: Uint8Array | StreamError | undefined): boolean =>
  result instanceof StreamError && result.code === "data_loss";

/** Counts what was hashed since others had their turn. */
class Turn {
  #bytes = 0;

  /** Whether the turn is over before these bytes. */
  spend(bytes: number): boolean {
    this.#bytes += bytes;
    return this.#bytes > turnBytesMax;
  }

  /** Lets the event loop run. */
  async end(): Promise<void> {
    this.#bytes = 0;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Iterates for what iterating finds out. */
const exhaust = async (chunks: AsyncIterable<Uint8Array>): Promise<void> => {
  const iterator = chunks[Symbol.asyncIterator]();
  let next = await iterator.next();
  while (next.done !== true) next = await iterator.next();
};

const hashInTurns = async (body: Uint8Array, turn: Turn): Promise<Uint8Array> => {
  const hasher = new Bun.CryptoHasher("sha256");
  for (let start = 0; start < body.length; start += wholeBytesMax) {
    hasher.update(body.subarray(start, start + wholeBytesMax));
    if (turn.spend(wholeBytesMax)) await turn.end();
  }
  return hasher.digest();
};

const fieldsOf = ({ subject, sequence }: Envelope): { readonly subject: string; readonly sequence: number } => ({
  subject,
  sequence,
});

const damaged = (envelope: Envelope): StreamError =>
  new StreamError("data_loss", "The stored body does not have the checksum it was written with.", fieldsOf(envelope));

const faultError = (envelope: Envelope, { fault, cause }: BodyFault): StreamError =>
  fault === "missing"
    ? new StreamError("data_loss", "The stored body is gone, or a part of it.", fieldsOf(envelope), cause)
    : new StreamError("unavailable", "The stored body cannot be read now; try again.", fieldsOf(envelope), cause);
