/**
 * What a transport is to the generator, and what the transports share.
 * @module
 */
import type { GeneratedEvent } from "./events.ts";

/** An event that was not stored. */
export interface SendFailure {
  /** Its place in the request. */
  readonly index: number;
  readonly code: string;
  readonly detail: string;
  /** Nobody knows whether it was stored. */
  readonly isUnknown: boolean;
}

/** What became of a request. */
export interface SendOutcome {
  readonly stored: number;
  readonly duplicates: number;
  readonly failures: readonly SendFailure[];
  /** Failed beyond those that are named. */
  readonly unnamed: number;
}

/** One transport. */
export interface Sender {
  /** One request. Never rejects. */
  send(events: readonly GeneratedEvent[]): Promise<SendOutcome>;
  close(): Promise<void>;
}

/** How long a request may take. */
export const answerMsMax = 30_000;

/** All events of a request failed in the same way. */
export const failedTogether = (
  events: readonly GeneratedEvent[],
  failure: Omit<SendFailure, "index">,
): SendOutcome => ({
  ...{ stored: 0, duplicates: 0, unnamed: 0 },
  failures: events.map((_, index) => ({ index, ...failure })),
});

/** Codes that leave it open whether an event was stored. */
export const isUnknownCode = (code: string): boolean => code === "outcome_unknown" || code === "timed_out";
