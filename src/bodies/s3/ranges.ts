/**
 * Reads one range of one object, whole or not at all.
 * @module
 */
import type { S3Answer, S3Connection } from "./connection.ts";
import { S3Fault } from "./faults.ts";
import { isSafeName } from "./names.ts";
import type { Retry } from "./retry.ts";
import { Slots } from "./slots.ts";

/** Requests at once: enough for any line, few enough that `fetch`, which has 256 for all, keeps some for writes. */
const requestsMax = 48;

/** What the reader is made of. */
export interface RangeReaderParts {
  readonly connection: S3Connection;
  readonly retry: Retry;
}

/** See the module. */
export class RangeReader {
  readonly #parts: RangeReaderParts;
  readonly #slots = new Slots(requestsMax);

  constructor(parts: RangeReaderParts) {
    this.#parts = parts;
  }

  /**
   * Bytes from `start` to before `end`; fewer when the object ends before `end`.
   * @throws S3Fault `missing` when the object is not there or ends before `start`
   */
  async read(object: string, start: number, end: number): Promise<Uint8Array> {
    if (!isSafeName(object)) throw new S3Fault("missing", "no name of an object");
    const { connection, retry } = this.#parts;
    const range = `bytes=${start}-${end - 1}`;
    const attempt = async (signal: AbortSignal): Promise<Uint8Array> =>
      rangeOf(await connection.send({ method: "GET", object, range }, signal), object, start, end);
    return this.#slots.run(() => retry.run(attempt, { bytes: end - start }));
  }
}

/** The bytes of an answer, once it is sure that they are the ones asked for and all of them. */
const rangeOf = ({ status, headers, body }: S3Answer, object: string, start: number, end: number): Uint8Array => {
  // A server, or a cache before it, may answer with all there is.
  if (status === 200) {
    if (Number(headers.get("content-length") ?? body.length) !== body.length) throw cutShort(object);
    if (body.length <= start) throw new S3Fault("missing", `GET ${object}: it ends before the range`);
    return body.subarray(start, end);
  }
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headers.get("content-range") ?? "");
  const [first, last, total] = [Number(match?.[1]), Number(match?.[2]), Number(match?.[3])];
  if (first !== start || last >= end || body.length !== last - first + 1) throw cutShort(object);
  // Fewer bytes than asked for are right only when the object ends there.
  if (last + 1 < end && last + 1 !== total) throw cutShort(object);
  return body;
};

const cutShort = (object: string): S3Fault => new S3Fault("unreachable", `GET ${object}: the answer is not whole`);
