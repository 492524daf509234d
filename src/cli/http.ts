/**
 * The server's HTTP side, for what the SDK has no call for: listings, states, and bodies too large to hold.
 * @module
 */
import { MtsError } from "../client/index.ts";
import { CliFailure } from "./command.ts";
import type { ServerAccess } from "./server.ts";

/** A JSON object of the server. */
export type View = Readonly<Record<string, unknown>>;

/** One path segment. */
export const segment = (raw: string): string => encodeURIComponent(raw);

/** What fetch throws when there was no connection at all. */
const noConnectionCodes: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EAI_AGAIN",
  "ConnectionRefused",
  "FailedToOpenSocket",
]);

/** What is said when nobody answers. */
export const unreachable = (url: string): CliFailure =>
  new CliFailure(
    `no server answers at ${url}; start one with minitoolstream serve, or name another with --url (or MINITOOLSTREAM_URL)`,
  );

/** The connection broke in the middle. */
export class BrokenOffError extends CliFailure {
  override readonly name = "BrokenOffError";
}

/** One server. */
export class HttpApi {
  readonly url: string;
  readonly #token: ServerAccess["token"];
  readonly #signal: AbortSignal;

  constructor({ url, token }: ServerAccess, signal: AbortSignal) {
    this.url = url;
    this.#token = token;
    this.#signal = signal;
  }

  /**
   * One request; the answer is a JSON object.
   * @throws MtsError what the server refuses with; CliFailure when it cannot be reached, or is something else
   */
  async request(path: string, init: RequestInit = {}, accepted: readonly number[] = []): Promise<View> {
    const response = await this.#send(path, init);
    const text = await response.text();
    const view = parseObject(text);
    if (view !== undefined && (response.ok || accepted.includes(response.status))) return view;
    throw view === undefined ? this.#stranger(response) : refusal(view, response);
  }

  async #send(path: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.#token !== undefined) headers.set("authorization", `Bearer ${await this.#token()}`);
    try {
      return await fetch(`${this.url}${path}`, { ...init, headers, signal: this.#signal, redirect: "error" });
    } catch (thrown) {
      if (this.#signal.aborted) throw thrown;
      const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
      if (typeof code === "string" && noConnectionCodes.has(code)) throw unreachable(this.url);
      // What the source of the body threw (a file that cannot be read any more) has a reason of its own.
      if (thrown instanceof CliFailure) throw thrown;
      throw new BrokenOffError(`the request to ${this.url} broke off: ${String(thrown)}`);
    }
  }

  #stranger(response: Response): CliFailure {
    return new CliFailure(
      `${this.url} answered ${response.status} with something that is not MiniToolStream's; check --url`,
    );
  }
}

const parseObject = (text: string): View | undefined => {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as View) : undefined;
  } catch {
    return undefined;
  }
};

const refusal = (view: View, response: Response): Error => {
  const { code, detail, retryable, ...fields } = view;
  if (typeof code !== "string") return new CliFailure(`the server answered ${response.status}`);
  return new MtsError(code, typeof detail === "string" ? detail : code, retryable === true, fields);
};
