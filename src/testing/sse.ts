/**
 * A reader of `text/event-stream`.
 * @module
 */
import { readProblem } from "./http-client.ts";
import { ContractError } from "./wire.ts";

/** One event, or a comment. */
export interface SseEvent {
  /** `message` when the stream does not name it. */
  readonly event: string;
  readonly id: string | undefined;
  readonly data: string;
  /** True for a line that starts with a colon; `data` is its text. */
  readonly comment: boolean;
}

/** A running event stream. */
export class SseStream {
  readonly response: Response;
  readonly #abort: AbortController;
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #decoder = new TextDecoder();
  #text = "";

  private constructor(response: Response, abort: AbortController) {
    if (response.body === null) throw new ContractError("an event stream without a body");
    this.response = response;
    this.#abort = abort;
    this.#chunks = (response.body as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
  }

  /** Opens the stream; rejects with `ClientError` when it is refused. */
  static async open(url: string, headers: Readonly<Record<string, string>> = {}): Promise<SseStream> {
    const abort = new AbortController();
    const response = await fetch(url, { headers: { accept: "text/event-stream", ...headers }, signal: abort.signal });
    if (!response.ok) throw await readProblem(response);
    const type = response.headers.get("content-type") ?? "";
    if (!type.startsWith("text/event-stream")) throw new ContractError(`an event stream of type ${type}`);
    return new SseStream(response, abort);
  }

  /** The next event or comment; undefined at the end of the stream. */
  async next(): Promise<SseEvent | undefined> {
    while (true) {
      const end = this.#text.indexOf("\n\n");
      if (end !== -1) {
        const block = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 2);
        return parseBlock(block);
      }
      const chunk = await this.#chunks.next();
      if (chunk.done === true) return undefined;
      this.#text += this.#decoder.decode(chunk.value, { stream: true }).replaceAll("\r\n", "\n");
    }
  }

  /** The next event that is no comment. */
  async nextEvent(): Promise<SseEvent | undefined> {
    while (true) {
      const event = await this.next();
      if (event?.comment !== true) return event;
    }
  }

  close(): void {
    this.#abort.abort();
  }
}

const parseBlock = (block: string): SseEvent => {
  const lines = block.split("\n");
  const values = (name: string): string[] =>
    lines.filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).replace(/^ /, ""));
  const comment = lines.every((line) => line.startsWith(":") || line === "");
  return {
    event: values("event").at(-1) ?? "message",
    id: values("id").at(-1),
    data: comment ? lines.map((line) => line.slice(1)).join("\n") : values("data").join("\n"),
    comment,
  };
};
