/**
 * The server's HTTP side as the console asks it: with the token, relative to where the page came from, and every refusal
 * as a `Problem`.
 * @module
 */

/** What the server refused with (RFC 9457), or `network` when there was no answer. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly status: number;
  readonly code: string;
  /** What is wrong with single fields. */
  readonly faults: readonly string[];

  constructor(status: number, code: string, detail: string, faults: readonly string[] = []) {
    super(detail);
    this.status = status;
    this.code = code;
    this.faults = faults;
  }
}

/** One request. */
export interface Ask {
  readonly method?: "GET" | "POST" | "DELETE" | "HEAD";
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

/** Query parameters; those that are undefined are left out. */
export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** The server. */
export class Api {
  /** Where the page came from, with a slash at the end: a proxy may put a path in front of the server. */
  readonly base: URL;
  token: string | undefined;
  /** Hears of every 401. */
  onUnauthenticated: ((problem: Problem) => void) | undefined;

  constructor(base: URL) {
    this.base = base;
  }

  /** The address of a path such as `v1/subjects`. */
  url(path: string, query: Query = {}): string {
    const url = new URL(path, this.base);
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) url.searchParams.set(name, String(value));
    return url.href;
  }

  /** An answer below 400. @throws Problem; the signal's reason */
  async ask(path: string, query: Query = {}, { method = "GET", headers = {}, signal }: Ask = {}): Promise<Response> {
    const response = await fetch(this.url(path, query), {
      method,
      headers: { ...headers, ...(this.token !== undefined && { authorization: `Bearer ${this.token}` }) },
      credentials: "omit",
      ...(signal && { signal }),
    }).catch((error: unknown) => {
      if (signal?.aborted === true) throw error;
      throw new Problem(0, "network", "The server does not answer.");
    });
    if (response.ok) return response;
    const problem = await problemOf(response);
    if (response.status === 401) this.onUnauthenticated?.(problem);
    throw problem;
  }

  /** An answer in JSON. @throws as `ask` */
  async json<Shape>(path: string, query: Query = {}, ask: Ask = {}): Promise<Shape> {
    const response = await this.ask(path, query, { ...ask, headers: { accept: "application/json", ...ask.headers } });
    return (await response.json()) as Shape;
  }
}

const problemOf = async (response: Response): Promise<Problem> => {
  const { status } = response;
  const text = await response.text().catch(() => "");
  try {
    const { code, detail, errors } = JSON.parse(text) as Partial<Record<string, unknown>>;
    const faults = Array.isArray(errors) ? errors.map(faultText) : [];
    return new Problem(status, textOr(code, String(status)), textOr(detail, `The server answered ${status}.`), faults);
  } catch {
    return new Problem(status, String(status), `The server answered ${status}.`);
  }
};

const textOr = (value: unknown, other: string): string => (typeof value === "string" ? value : other);

const faultText = (fault: unknown): string => {
  const { field, detail } = fault as Partial<Record<string, unknown>>;
  return `${String(field)}: ${String(detail)}`;
};

/** A row of `GET /v1/subjects`. */
export interface SubjectRow {
  readonly subject: string;
  readonly first_sequence: number;
  readonly last_sequence: number;
  readonly messages: number;
  readonly bytes: number;
}

/** `GET /v1/subjects/{subject}`. */
export interface SubjectDetails extends SubjectRow {
  readonly created_at: number | null;
  readonly last_published_at: number | null;
  readonly consumers: number;
}

/** A message as a page shows it; without a body when only headers were asked for. */
export interface MessageRow {
  readonly subject: string;
  readonly sequence: number;
  readonly timestamp: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly size: number;
  readonly sha256: string;
  readonly expires_at?: number;
  readonly data?: string;
  readonly data_base64?: string;
}

/** `GET /v1/subjects/{subject}/messages`. */
export interface MessagePage {
  readonly messages: readonly MessageRow[];
  readonly first_sequence: number;
  readonly last_sequence: number;
  readonly next_sequence: number;
}

/** A consumer. */
export interface ConsumerRow {
  readonly name: string;
  readonly subject: string;
  readonly ack: "all" | "explicit";
  readonly acked_through: number;
  readonly delivered_through: number;
  readonly pending: number;
  readonly ack_pending: number;
  readonly redelivered: number;
  readonly created_at: number;
  readonly dead_letter?: string;
}

/** The path of a subject, or below it. */
export const subjectPath = (subject: string, ...rest: readonly (string | number)[]): string =>
  ["v1", "subjects", ...[subject, ...rest].map((segment) => encodeURIComponent(segment))].join("/");
