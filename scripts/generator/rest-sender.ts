/**
 * `POST /events`: one event, or an array of them.
 * @module
 */
import type { GeneratedEvent } from "./events.ts";
import type { Options } from "./options.ts";
import {
  answerMsMax,
  failedTogether,
  isUnknownCode,
  type Sender,
  type SendFailure,
  type SendOutcome,
} from "./sender.ts";

/** A failure as the server tells it. */
interface Problem {
  readonly code?: string;
  readonly detail?: string;
}

/** What is answered for one event. */
interface Result {
  readonly duplicate?: boolean;
  readonly error?: Problem;
}

const jsonOf = ({ userId, eventType, amountCents, timestamp, key }: GeneratedEvent): string =>
  `{"user_id":"${userId}","event_type":"${eventType}","amount":${amountCents / 100},"timestamp":"${timestamp}"` +
  `${key === undefined ? "" : `,"idempotency_key":"${key}"`}}`;

/** Sends over HTTP, on as many connections as requests are under way. */
export const restSender = ({ url, token, batch }: Options): Sender => {
  const headers = {
    "content-type": "application/json",
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  };
  const post = async (events: readonly GeneratedEvent[]): Promise<SendOutcome> => {
    const texts = events.map(jsonOf);
    const body = batch === 1 ? texts.join("") : `[${texts.join(",")}]`;
    const signal = AbortSignal.timeout(answerMsMax);
    const response = await fetch(`${url}/events`, { method: "POST", headers, body, signal });
    const answer: unknown = await response.json();
    if (!response.ok) return failedTogether(events, failureOf(answer as Problem, String(response.status)));
    return outcomeOf(batch === 1 ? [answer as Result] : (answer as { readonly results: readonly Result[] }).results);
  };
  return {
    async send(events) {
      try {
        return await post(events);
      } catch (error) {
        // The connection broke, or no answer came.
        const detail = error instanceof Error ? error.message : String(error);
        const code = error instanceof Error && error.name === "TimeoutError" ? "timed_out" : "connection_failed";
        return failedTogether(events, { code, detail, isUnknown: true });
      }
    },
    close: () => Promise.resolve(),
  };
};

const failureOf = ({ code, detail = "" }: Problem, otherwise: string): Omit<SendFailure, "index"> => ({
  code: code ?? otherwise,
  detail,
  // A server that fails without a word may have stored it.
  isUnknown: isUnknownCode(code ?? otherwise) || (code === undefined && otherwise.startsWith("5")),
});

const outcomeOf = (results: readonly Result[]): SendOutcome => {
  let stored = 0;
  let duplicates = 0;
  const failures: SendFailure[] = [];
  for (const [index, { duplicate, error }] of results.entries()) {
    if (error !== undefined) failures.push({ index, ...failureOf(error, "error") });
    else if (duplicate === true) duplicates++;
    else stored++;
  }
  return { stored, duplicates, failures, unnamed: 0 };
};
