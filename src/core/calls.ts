/**
 * Watching calls to somebody else: which, how long they took, and how they ended.
 * @module
 */
import { toStreamError } from "./errors.ts";

/** Told of a call that has ended. @param outcome `ok`, or why not, in one word out of a few */
export type CallObserver = (operation: string, ms: number, outcome: string) => void;

/** Makes a call and tells of its end; the caller gets what the call gave. */
export const observedCall = <T>(
  observe: CallObserver,
  operation: string,
  call: () => Promise<T>,
  outcomeOf: (error: unknown) => string = (error) => toStreamError(error).code,
): Promise<T> => {
  const startedMs = performance.now();
  const answer = call();
  // Beside the caller's own chain, not in it: nobody waits a turn longer.
  answer.then(
    () => observe(operation, performance.now() - startedMs, "ok"),
    (error: unknown) => observe(operation, performance.now() - startedMs, outcomeOf(error)),
  );
  return answer;
};
