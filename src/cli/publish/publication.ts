/**
 * One run of `publish`: small bodies through the SDK's pipeline, large ones streamed over HTTP, all in order.
 * @module
 */
import type { Mts } from "../../client/index.ts";
import { CliFailure } from "../command.ts";
import { HttpApi } from "../http.ts";
import type { Io } from "../io.ts";
import type { ServerAccess } from "../server.ts";
import { fileHeaders, httpHeaders, type MessageHeaders } from "./headers.ts";
import { type Draft, labelled, Pipeline } from "./pipeline.ts";
import { type Source, splitLines } from "./sources.ts";
import type { Timing } from "./timing.ts";
import { upload } from "./upload.ts";
import type { PublishView } from "./view.ts";

/** A body of more is streamed, and never whole in memory here. */
const pipelinedBytesMax = 1024 * 1024;

/** What a run is made of. */
export interface PublicationParts {
  readonly mts: Mts;
  readonly server: ServerAccess;
  readonly io: Io;
  readonly subject: string;
  /** Given by the caller, for every message. */
  readonly headers: MessageHeaders;
  readonly messageId: string | undefined;
  readonly expectedLast: number | undefined;
  readonly timing: Timing;
  readonly view: PublishView;
}

/** Publishes sources one after the other. */
export class Publication {
  readonly #parts: PublicationParts;
  readonly #pipeline: Pipeline;
  readonly #api: HttpApi;
  #published = 0;

  constructor(parts: PublicationParts) {
    this.#parts = parts;
    const { mts, io, server, view } = parts;
    this.#pipeline = new Pipeline(mts, async (receipt, { path, sourceBytes }) => {
      view.moved(sourceBytes);
      await view.stored(receipt, path);
    });
    this.#api = new HttpApi(server, io.stop);
  }

  /** Every line of the source. @throws CliFailure, MtsError */
  async lines(source: Source): Promise<void> {
    let line = 0;
    for await (const bodies of splitLines(source.chunks())) {
      for (const body of bodies) {
        const label = `${source.label}, line ${++line}`;
        // With its end.
        const sourceBytes = body.length + 1;
        await this.#add({ ...this.#draft(body, this.#parts.headers), label, path: undefined, sourceBytes });
      }
    }
    await this.#pipeline.drain();
  }

  /** The source as one message. @throws CliFailure, MtsError */
  async whole(source: Source): Promise<void> {
    const { headers: given } = this.#parts;
    const headers = source.path === undefined ? given : fileHeaders(source.path, given);
    const requestHeaders = httpHeaders(headers);
    const chunks = source.chunks()[Symbol.asyncIterator]();
    // Headers that HTTP cannot carry as they are: then the body goes another way, at the cost of memory.
    const bytesMax = requestHeaders === undefined ? Number.POSITIVE_INFINITY : pipelinedBytesMax;
    const { head, ended } = await readHead(chunks, bytesMax);
    if (ended || requestHeaders === undefined) {
      const body = Buffer.concat(head);
      const { label, path } = source;
      await this.#add({ ...this.#draft(body, headers), label, path, sourceBytes: body.length });
      return;
    }
    await this.#pipeline.drain();
    let attempts = 0;
    await this.#upload({
      ...{ label: source.label, path: source.path, bytes: source.bytes, headers: requestHeaders },
      expectedLast: this.#nextExpected(),
      chunks: () => (attempts++ === 0 ? rejoin(head, chunks) : source.chunks()),
    });
  }

  /** Resolves when nothing is under way any more. @throws the first failure */
  settled(): Promise<void> {
    return this.#pipeline.drain();
  }

  async #add(draft: Draft): Promise<void> {
    if (draft.timing.waiting !== undefined) {
      await this.#addWaiting(draft);
      return;
    }
    await this.#pipeline.add(draft);
    // Its neighbour's refusal must be known before a message is sent: otherwise it would be what this one expects.
    if (draft.expectedLast !== undefined) await this.#pipeline.drain();
  }

  /** HTTP has the question for it. */
  async #addWaiting({ label, path, body, headers, expectedLast }: Draft): Promise<void> {
    const requestHeaders = httpHeaders(headers);
    if (requestHeaders === undefined) throw new CliFailure(`${label}: HTTP cannot carry its headers, as --wait needs`);
    await this.#upload({
      ...{ label, path, bytes: body.length, headers: requestHeaders, expectedLast },
      chunks: () => once(body),
    });
  }

  #draft(body: Uint8Array, headers: MessageHeaders): Omit<Draft, "label" | "path" | "sourceBytes"> {
    const { subject, messageId, timing } = this.#parts;
    return { subject, body, headers, messageId, expectedLast: this.#nextExpected(), timing };
  }

  #nextExpected(): number | undefined {
    const { expectedLast } = this.#parts;
    return expectedLast === undefined ? undefined : expectedLast + this.#published++;
  }

  async #upload({ label, path, bytes, headers, expectedLast, chunks }: Uploaded): Promise<void> {
    const { subject, messageId, timing, view, io } = this.#parts;
    let shown = 0;
    const body = {
      ...{ subject, headers, messageId, bytes, expectedLast, timing, chunks },
      isRepeatable: bytes !== undefined,
      onSent: (sent: number) => {
        view.moved(sent - shown);
        shown = sent;
      },
    };
    try {
      await view.stored(await upload(this.#api, body, io.stop), path);
    } catch (thrown) {
      throw labelled(label, thrown);
    }
  }
}

/** One body that goes over HTTP. */
interface Uploaded {
  readonly label: string;
  readonly path: string | undefined;
  readonly bytes: number | undefined;
  readonly headers: Headers;
  readonly expectedLast: number | undefined;
  readonly chunks: () => AsyncIterable<Uint8Array>;
}

/** Collects chunks until the body has ended or is too long. */
const readHead = async (
  chunks: AsyncIterator<Uint8Array>,
  bytesMax: number,
): Promise<{ readonly head: readonly Uint8Array[]; readonly ended: boolean }> => {
  const head: Uint8Array[] = [];
  for (let bytes = 0; bytes <= bytesMax; ) {
    const next = await chunks.next();
    if (next.done === true) return { head, ended: true };
    bytes += next.value.length;
    head.push(next.value);
  }
  return { head, ended: false };
};

async function* rejoin(head: readonly Uint8Array[], rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  try {
    yield* head;
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

async function* once(body: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield await Promise.resolve(body);
}
