/**
 * Head office: makes documents, packs them, puts them straight into the store, and publishes pointers to them.
 * @module
 */
import { makeDocument, sha256Hex } from "./document.ts";
import type { Options } from "./options.ts";
import { persist, subjectPath, type Upload, Wire } from "./wire.ts";

/** A document that was published. */
export interface Sent {
  readonly number: number;
  readonly sequence: number;
  /** Of the JSON. */
  readonly bytes: number;
  /** Of the body: the JSON, packed. */
  readonly packedBytes: number;
  readonly totalCents: number;
  /** Of the JSON. */
  readonly sha256: string;
  /** Unix milliseconds, with their fraction, when its publish began. */
  readonly atMs: number;
}

/** A document on its way. */
interface Prepared {
  readonly number: number;
  readonly json: Uint8Array<ArrayBuffer>;
  readonly body: Uint8Array<ArrayBuffer>;
  readonly totalCents: number;
}

/** The answer to a publish. */
interface Receipt {
  readonly sequence: number;
  readonly duplicate: boolean;
}

const attemptsMax = 5;
/** A larger body is put in parts, where the store has them. */
const partsBytesMin = 8 * 1024 * 1024;
/** Its own name among the recipients, when it reads back. */
export const headOffice = "head-office";

/** See the module. */
export class Producer {
  readonly #wire: Wire;
  readonly #path: string;
  /** Makes the keys of one run differ from those of another. */
  readonly #run = crypto.randomUUID();

  constructor(
    url: string,
    readonly subject: string,
    private readonly options: Pick<Options, "documentBytes" | "seed" | "verify">,
    private readonly signal: AbortSignal,
  ) {
    this.#wire = new Wire(url, signal);
    this.#path = subjectPath(subject);
  }

  /**
   * Publishes a document; `twice` as if the first answer had been lost.
   * @throws Error when an answer is not what it must be
   */
  async send(number: number, twice = false): Promise<Sent> {
    const prepared = this.#prepare(number);
    const pointer = await this.#upload(prepared);
    const atMs = performance.timeOrigin + performance.now();
    const { sequence } = await this.#publish(number, pointer);
    if (twice) {
      const again = await this.#publish(number, pointer);
      if (!again.duplicate || again.sequence !== sequence) {
        throw new Error(`a publish under the same key was answered with ${JSON.stringify(again)}, not as a duplicate`);
      }
    }
    if (this.options.verify) await this.#readBack(sequence, prepared);
    const { json, body, totalCents } = prepared;
    const [bytes, packedBytes] = [json.length, body.length];
    return { number, sequence, bytes, packedBytes, totalCents, sha256: sha256Hex(json), atMs };
  }

  #prepare(number: number): Prepared {
    const document = makeDocument(this.options.seed, number, this.options.documentBytes);
    const json = new TextEncoder().encode(JSON.stringify(document));
    return { number, json, body: Bun.gzipSync(json), totalCents: document.totalCents };
  }

  /** Puts the body where the server says; answers the pointer that is published. */
  async #upload({ body }: Prepared): Promise<object> {
    const claim = { length: body.length, sha256: sha256Hex(body) };
    const parts = body.length >= partsBytesMin;
    const open = { ...claim, parts };
    const upload = await this.#persist(() => this.#wire.json<Upload>("POST", `${this.#path}/uploads`, open));
    for (const request of upload.requests) {
      const { offset, length } = request;
      await this.#persist(() => this.#wire.put(request, body.subarray(offset, offset + length)));
    }
    if (upload.multipart) {
      const complete = { key: upload.key, ...claim };
      await this.#persist(() => this.#wire.json("POST", `${this.#path}/uploads/complete`, complete));
    }
    const types = { content_encoding: "gzip", content_type: "application/json" };
    return { format: "s3-pointer-v1", key: upload.key, ...claim, ...types };
  }

  /** The key makes trying again safe. */
  #publish(number: number, pointer: object): Promise<Receipt> {
    const headers = {
      "content-type": "application/vnd.s3-pointer+json",
      "idempotency-key": `${this.#run}-${number}`,
      "x-meta-document": String(number),
    };
    const body = JSON.stringify(pointer);
    return this.#persist(async () => {
      const response = await this.#wire.call("POST", `${this.#path}/messages`, { headers, body });
      return (await response.json()) as Receipt;
    });
  }

  /** Compares the stored bytes, and what a reader gets who cannot unpack; then acknowledges like any recipient. */
  async #readBack(sequence: number, { number, json, body }: Prepared): Promise<void> {
    const path = `${this.#path}/messages/${sequence}`;
    for (const [coding, expected] of [
      ["gzip", body],
      ["identity", json],
    ] as const) {
      const read = await this.#persist(async () => {
        const response = await this.#wire.call("GET", path, { headers: { "accept-encoding": coding } });
        return new Uint8Array(await response.arrayBuffer());
      });
      if (Buffer.compare(read, expected) !== 0) {
        throw new Error(`document ${number} reads back differently (${coding}, message ${sequence})`);
      }
    }
    const consumer = `${this.#path}/consumers/${headOffice}`;
    await this.#persist(() => this.#wire.json("POST", `${consumer}/ack`, { sequences: [sequence] }));
  }

  #persist<T>(work: () => Promise<T>): Promise<T> {
    return persist(attemptsMax, work, this.signal);
  }
}
