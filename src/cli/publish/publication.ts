/**
 * One run of `publish`: small bodies through the SDK's pipeline, large ones streamed over HTTP, all in order.
 * @module
 */
import type { Mts } from "../../client/index.ts";
import { HttpApi } from "../http.ts";
import type { Io } from "../io.ts";
import type { ServerAccess } from "../server.ts";
import { fileHeaders, httpHeaders, type MessageHeaders } from "./headers.ts";
import { type Draft, labelled, Pipeline } from "./pipeline.ts";
import { type Source, splitLines } from "./sources.ts";
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
    await this.#upload(source, requestHeaders, head, chunks);
  }

  /** Resolves when nothing is under way any more. @throws the first failure */
  settled(): Promise<void> {
    return this.#pipeline.drain();
  }

  async #add(draft: Draft): Promise<void> {
    await this.#pipeline.add(draft);
    // Its neighbour's refusal must be known before a message is sent: otherwise it would be what this one expects.
    if (draft.expectedLast !== undefined) await this.#pipeline.drain();
  }

  #draft(body: Uint8Array, headers: MessageHeaders): Omit<Draft, "label" | "path" | "sourceBytes"> {
    const { subject, messageId } = this.#parts;
    return { subject, body, headers, messageId, expectedLast: this.#nextExpected() };
  }

  #nextExpected(): number | undefined {
    const { expectedLast } = this.#parts;
    return expectedLast === undefined ? undefined : expectedLast + this.#published++;
  }

  async #upload(
    source: Source,
    headers: Headers,
    head: readonly Uint8Array[],
    rest: AsyncIterator<Uint8Array>,
  ): Promise<void> {
    const { subject, messageId, view, io } = this.#parts;
    let attempts = 0;
    let shown = 0;
    const body = {
      subject,
      headers,
      messageId,
      bytes: source.bytes,
      expectedLast: this.#nextExpected(),
      chunks: () => (attempts++ === 0 ? rejoin(head, rest) : source.chunks()),
      isRepeatable: source.bytes !== undefined,
      onSent: (bytes: number) => {
        view.moved(bytes - shown);
        shown = bytes;
      },
    };
    try {
      await view.stored(await upload(this.#api, body, io.stop), source.path);
    } catch (thrown) {
      throw labelled(source.label, thrown);
    }
  }
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
