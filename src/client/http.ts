/**
 * What the WebSocket has no request for: listing subjects, looking after consumers, and asking why an upgrade failed.
 * @module
 */
import { jsonType } from "./body.ts";
import type { Environment } from "./environment.ts";
import { connectionLost, errorFrom, type MtsError, toMtsError } from "./errors.ts";
import type { ConnectOptions, ConsumerOptions } from "./options.ts";
import { within } from "./scope.ts";
import { type Fields, fromWire, isMap, nothing, toWire } from "./wire.ts";

/** 4xx but those that tell of a moment, or (426) of nothing but that a plain request is no upgrade. */
const final = /^4(?!08|2[569])/;

const encoded = (text: string): string => encodeURIComponent(text);

/** How a consumer acknowledges. */
export type AckMode = "all" | "explicit";

/** State of a consumer. */
export interface Consumer {
  readonly name: string;
  readonly subject: string;
  readonly ack: AckMode;
  readonly ackedThrough: number;
  readonly deliveredThrough: number;
  /** Stored and not settled, leased included. */
  readonly pending: number;
  /** Leased or nacked. */
  readonly ackPending: number;
  /** Of those, delivered more than once. */
  readonly redelivered: number;
  /** Unix milliseconds. */
  readonly createdAt: number;
  /** Where messages go whose deliveries are used up. */
  readonly deadLetter?: string;
}

/** A row of the subject listing. */
export interface SubjectHead {
  readonly subject: string;
  readonly lastSequence: number;
}

/** The HTTP side of the server. */
export class HttpSide {
  readonly #url: string;
  readonly #env: Environment;
  /** Undefined where there is one token for ever, or none. */
  readonly #ask: (() => string | Promise<string>) | undefined;
  /** The last one. */
  #token: string | undefined;

  constructor(httpUrl: string, env: Environment, token: ConnectOptions["token"]) {
    this.#url = httpUrl;
    this.#env = env;
    if (typeof token === "function") this.#ask = token;
    else this.#token = token;
  }

  /** The next token; undefined where none is given. @throws MtsError `connection_lost` with what its function threw */
  async token(): Promise<string | undefined> {
    try {
      return (this.#token = this.#ask ? await this.#ask() : this.#token);
    } catch (error) {
      throw connectionLost(error);
    }
  }

  /** Every subject that matches. */
  async *subjects(filter: string, signal: AbortSignal): AsyncGenerator<SubjectHead, void> {
    let after = "";
    for (;;) {
      const path = `subjects?limit=10000&filter=${encoded(filter)}&after=${encoded(after)}`;
      const page = await this.#request("GET", path, undefined, signal);
      for (const row of page["subjects"] as readonly Fields[]) {
        const head = fromWire(row) as SubjectHead;
        after = head.subject;
        yield head;
      }
      if (page["has_more"] !== true) return;
    }
  }

  /**
   * Asks for (`GET`), makes (`PUT`) or removes (`DELETE`) a consumer.
   * @throws MtsError `consumer_not_found`, `consumer_exists`
   */
  async consumer(method: string, subject: string, name: string, config?: ConsumerOptions): Promise<Consumer> {
    const path = `subjects/${encoded(subject)}/consumers/${encoded(name)}`;
    return fromWire(await this.#request(method, path, config && toWire(config))) as Consumer;
  }

  /** Why the server does not let this client in for good; undefined when another attempt may work. */
  async refusal(): Promise<MtsError | undefined> {
    const error = await this.#request("GET", "ws").then(nothing, toMtsError);
    // Whatever it is, it is looked at as text.
    return final.test(error?.fields["status"] as string) ? error : undefined;
  }

  #request(method: string, path: string, body?: Fields, signal?: AbortSignal): Promise<Fields> {
    return within(this.#env, { signal, timeoutMs: 30_000 }, async (stop) => {
      const send = (token: string | undefined) =>
        this.#env
          .fetch(`${this.#url}/v1/${path}`, {
            method,
            signal: stop,
            headers: {
              ...(token && { authorization: `Bearer ${token}` }),
              ...(body && { "content-type": jsonType }),
            },
            ...(body && { body: JSON.stringify(body) }),
          })
          .catch((error: unknown) => {
            throw stop.aborted ? (stop.reason as Error) : connectionLost(error);
          });
      let response = await send(this.#token ?? (await this.token()));
      if (response.status === 401 && this.#ask) response = await send(await this.token());
      const { status, ok } = response;
      const answer = await response.json().catch(nothing);
      if (ok) {
        if (isMap(answer)) return answer;
        // Cut off on its way.
        throw connectionLost();
      }
      throw errorFrom({
        // Where nothing explains it.
        code: "connection_refused",
        detail: `HTTP status ${status}`,
        retryable: status >= 500,
        ...(isMap(answer) && answer),
        status,
      });
    });
  }
}
