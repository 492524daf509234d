/**
 * Asking a store until it answers: what finding out about missed or doubtful messages has in common.
 * @module
 */
import type { Timers } from "../../actors/actor.ts";
import { type StreamError, toStreamError } from "../core/errors.ts";
import type { MetadataStore } from "../metadata/contract.ts";
import type { Hub } from "./hub.ts";

/** What finding out works with. */
export interface RecoveryTools {
  readonly metadata: MetadataStore;
  readonly hub: Hub;
  readonly timers: Timers;
  /** Pause before the store is asked again. */
  readonly retryMs: number;
  /** Aborted when the server stops. */
  readonly drained: AbortSignal;
  /** Told of each time that the store did not answer, for the log. */
  readonly onFailure: (error: StreamError) => void;
}

/** Repeats a question until it is answered; undefined when the server stops first. Never rejects. */
export const untilAnswered = async <T>(tools: RecoveryTools, ask: () => Promise<T>): Promise<T | undefined> => {
  while (!tools.drained.aborted) {
    try {
      return await ask();
    } catch (error) {
      tools.onFailure(toStreamError(error));
      await new Promise<void>((resolve) => tools.timers.after(tools.retryMs, resolve));
    }
  }
  return undefined;
};
