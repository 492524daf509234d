/**
 * What the WebSocket has no request for: listing subjects, looking after consumers, and asking why an upgrade failed.
 * @module
 */
import type { Environment } from "./environment.ts";
import { connectionLost, errorFrom, MtsError } from "./errors.ts";
import type { ConsumerOptions } from "./options.ts";
import { within } from "./scope.ts";
import { type Frame, integerField, isFrame, listField, textField, wireFrom } from "./wire.ts";

const pageMessagesMax = 10_000;
const requestMsMax = 30_000;
/** 4xx that tell of a moment, not of this client. */
const passing = new Set([408, 425, 429]);
/** The answer to a plain request where an upgrade would work. */
const upgradeRequired = 426;

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
}

/** A row of the subject listing. */
export interface SubjectHead {
  readonly subject: string;
  readonly firstSequence: number;
  readonly lastSequence: number;
}

/** The HTTP side of the server. */
export class HttpSide {
  constructor(
    private readonly httpUrl: string,
    private readonly environment: Environment,
  ) {}

  /** Every subject that matches, page by page. */
  async *subjects(filter: string, signal?: AbortSignal): AsyncGenerator<readonly SubjectHead[], void> {
    let after = "";
    for (;;) {
      const query = `filter=${encodeURIComponent(filter)}&limit=${pageMessagesMax}${after}`;
      const page = await this.#request("GET", `/v1/subjects?${query}`, undefined, signal);
      const rows = listField(page, "subjects").filter(isFrame);
      yield rows.map((row) => ({
        subject: textField(row, "subject"),
        firstSequence: integerField(row, "first_sequence"),
        lastSequence: integerField(row, "last_sequence"),
      }));
      const last = rows.at(-1);
      if (page["has_more"] !== true || last === undefined) return;
      after = `&after=${encodeURIComponent(textField(last, "subject"))}`;
    }
  }

  /** @throws MtsError `consumer_exists` when it is there and differs */
  async putConsumer(subject: string, name: string, options: ConsumerOptions): Promise<Consumer> {
    const { start, ack, ackWaitMs, maxDeliver, maxAckPending } = options;
    const config = {
      start: start === undefined ? undefined : wireFrom(start),
      ack,
      ack_wait_ms: ackWaitMs,
      max_deliver: maxDeliver,
      max_ack_pending: maxAckPending,
    };
    return consumerFrom(await this.#request("PUT", consumerPath(subject, name), config));
  }

  /** @throws MtsError `consumer_not_found` */
  async consumer(subject: string, name: string, signal?: AbortSignal): Promise<Consumer> {
    return consumerFrom(await this.#request("GET", consumerPath(subject, name), undefined, signal));
  }

  /** @throws MtsError `consumer_not_found` */
  async deleteConsumer(subject: string, name: string): Promise<Consumer> {
    return consumerFrom(await this.#request("DELETE", consumerPath(subject, name)));
  }

  /** Why the server does not let this client in for good; undefined when another attempt may work. */
  async refusal(): Promise<MtsError | undefined> {
    try {
      await this.#request("GET", "/v1/ws");
      return undefined;
    } catch (error) {
      const status = error instanceof MtsError ? error.fields["status"] : undefined;
      if (typeof status !== "number" || status < 400 || status >= 500) return undefined;
      return status === upgradeRequired || passing.has(status) ? undefined : (error as MtsError);
    }
  }

  #request(method: string, path: string, body?: Frame, signal?: AbortSignal): Promise<Frame> {
    const { environment } = this;
    return within(environment, { signal, timeoutMs: requestMsMax }, async (stop) => {
      let status: number;
      let ok: boolean;
      let answer: unknown;
      try {
        const response = await environment.fetch(this.httpUrl + path, {
          method,
          signal: stop,
          ...(body && { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
        });
        ({ status, ok } = response);
        answer = await response.json().catch(() => undefined);
      } catch (error) {
        throw stop.aborted ? stop.reason : connectionLost(error);
      }
      if (ok && isFrame(answer)) return answer;
      throw errorFrom({
        code: "connection_refused",
        detail: `The server answered ${status}.`,
        retryable: status >= 500,
        ...(isFrame(answer) ? answer : {}),
        status,
      });
    });
  }
}

const consumerPath = (subject: string, name: string): string =>
  `/v1/subjects/${encodeURIComponent(subject)}/consumers/${encodeURIComponent(name)}`;

const consumerFrom = (map: Frame): Consumer => ({
  name: textField(map, "name"),
  subject: textField(map, "subject"),
  ack: map["ack"] === "explicit" ? "explicit" : "all",
  ackedThrough: integerField(map, "acked_through"),
  deliveredThrough: integerField(map, "delivered_through"),
  pending: integerField(map, "pending"),
  ackPending: integerField(map, "ack_pending"),
  redelivered: integerField(map, "redelivered"),
});
