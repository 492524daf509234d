/**
 * The requests of the demo, as any program would make them: plain HTTP, and answers that are looked at before use.
 * @module
 */

/** The server answered with an error; `code` as in its problem document. */
export class AnswerError extends Error {
  override readonly name = "AnswerError";

  constructor(
    what: string,
    readonly status: number,
    readonly code: string,
    detail: string,
  ) {
    super(`${what}: ${status} ${code}: ${detail}`);
  }
}

/** A place to put bytes, or to get them from. */
export interface SignedAddress {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** What `POST …/uploads` answers. */
export interface Upload {
  readonly key: string;
  readonly multipart: boolean;
  readonly requests: readonly (SignedAddress & { readonly offset: number; readonly length: number })[];
}

/** A pointer in place of a body. */
export interface Pointer extends SignedAddress {
  readonly key: string;
  readonly size: number;
  readonly sha256: string;
  readonly content_encoding: string | null;
}

/** A fetched message. */
export interface PointedMessage {
  readonly sequence: number;
  readonly deliveries: number;
  readonly pointer: Pointer;
}

const answerMsMax = 90_000;

/** `/v1/subjects/{subject}`. */
export const subjectPath = (subject: string): string => `/v1/subjects/${encodeURIComponent(subject)}`;

/** The requests to one server. */
export class Wire {
  constructor(
    readonly url: string,
    private readonly signal?: AbortSignal,
  ) {}

  /** Any request; its answer as it is. @throws AnswerError unless it is a success */
  async call(method: string, path: string, init: RequestInit = {}): Promise<Response> {
    const signals = [AbortSignal.timeout(answerMsMax), ...(this.signal === undefined ? [] : [this.signal])];
    const url = new URL(path, this.url);
    // Bytes as they are stored, whatever their coding.
    const response = await fetch(url, { ...init, method, signal: AbortSignal.any(signals), decompress: false });
    if (response.ok) return response;
    const text = await response.text();
    const { code, detail } = problemOf(text);
    throw new AnswerError(`${method} ${url.pathname}`, response.status, code, detail);
  }

  /** A request with a JSON answer, and perhaps a JSON body. */
  async json<T>(method: string, path: string, body?: unknown): Promise<T> {
    const init = { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
    const response = await this.call(method, path, body === undefined ? {} : init);
    return (await response.json()) as T;
  }

  /** The bytes of a signed address. */
  async download({ url, headers }: SignedAddress): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array(await (await this.call("GET", url, { headers })).arrayBuffer());
  }

  /** Puts bytes to a signed address. */
  async put({ url, headers }: SignedAddress, body: Uint8Array<ArrayBuffer>): Promise<void> {
    await (await this.call("PUT", url, { headers, body })).arrayBuffer();
  }
}

const problemOf = (text: string): { readonly code: string; readonly detail: string } => {
  try {
    const { code, detail } = JSON.parse(text) as Record<string, unknown>;
    return { code: String(code), detail: String(detail) };
  } catch {
    // A store's own answer, or a proxy's.
    return { code: "unknown", detail: text.slice(0, 200) };
  }
};

/** Whether the same request may work a little later: nobody answered, or somebody said so. */
export const isPassing = (error: unknown): boolean =>
  error instanceof AnswerError ? error.status >= 500 || error.status === 429 : error instanceof Error;

const againMs = 100;

/** Tries until it works, at most so often; what cannot work is thrown at once. */
export const persist = async <T>(attemptsMax: number, work: () => Promise<T>, signal?: AbortSignal): Promise<T> => {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt === attemptsMax || signal?.aborted === true || !isPassing(error)) throw error;
      await Bun.sleep(againMs * attempt);
    }
  }
};
