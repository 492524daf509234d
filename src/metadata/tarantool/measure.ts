/**
 * Completes messages of which only the object's name is known: old clients publish a name, and length and SHA-256 are
 * asked of whoever has the objects, once, when the message is first read.
 * @module
 */
import { encodeMsgpack } from "../../codec/msgpack.ts";
import type { BodyRef, Envelope } from "../../core/message.ts";
import type { Calls } from "./calls.ts";
import { isUnmeasured } from "./rows.ts";

/** What an object is: bytes and SHA-256 (32 bytes) of the whole. */
export interface Measured {
  readonly length: number;
  readonly sha256: Uint8Array;
}

/**
 * Measures an object of the body store; null when it is not there.
 * @throws StreamError `unavailable` when the body store does not answer; the read fails with it
 */
export type Measure = (object: string) => Promise<Measured | null>;

/** Objects that are measured at once. */
const objectsAtOnceMax = 4;

/** Completes envelopes. */
export class Measurer {
  readonly #calls: Calls;
  readonly #measure: Measure | undefined;

  constructor(calls: Calls, measure: Measure | undefined) {
    this.#calls = calls;
    this.#measure = measure;
  }

  /** The same envelopes with their bodies; what cannot be measured stays a body that no bytes match. */
  async complete<T extends Envelope>(envelopes: readonly T[]): Promise<readonly T[]> {
    const measure = this.#measure;
    if (measure === undefined) return envelopes;
    const open = envelopes.filter(({ body }) => isUnmeasured(body));
    if (open.length === 0) return envelopes;
    const known = await measureAll(new Set(open.map(({ body }) => body.object)), measure);
    await this.#store(open, known);
    return envelopes.map((envelope) => {
      const measured = isUnmeasured(envelope.body) ? known.get(envelope.body.object) : undefined;
      return measured === undefined ? envelope : { ...envelope, body: completed(envelope.body, measured) };
    });
  }

  async #store(open: readonly Envelope[], known: ReadonlyMap<string, Measured>): Promise<void> {
    const rows = open.flatMap(({ subject, sequence, body }) => {
      const measured = known.get(body.object);
      return measured === undefined ? [] : [[subject, sequence, measured.length, measured.sha256]];
    });
    if (rows.length === 0) return;
    // A completed row is not completed again, so that this may be sent as often as it takes.
    await this.#calls.repeatable("mts_measured", encodeMsgpack(rows));
  }
}

const completed = (body: BodyRef, { length, sha256 }: Measured): BodyRef => ({ ...body, offset: 0, length, sha256 });

const measureAll = async (objects: ReadonlySet<string>, measure: Measure): Promise<ReadonlyMap<string, Measured>> => {
  const known = new Map<string, Measured>();
  const left = [...objects].values();
  const work = async (): Promise<void> => {
    for (const object of left) {
      const measured = await measure(object);
      if (measured !== null) known.set(object, measured);
    }
  };
  await Promise.all(Array.from({ length: objectsAtOnceMax }, work));
  return known;
};
