/**
 * The end of a call: its caller's signal, or its time.
 * @module
 */
import type { Environment } from "./environment.ts";
import { aborted, timedOut } from "./errors.ts";
import { nothing } from "./wire.ts";

/** Who waits for a signal. One listener a signal: taking one of thousands off an `AbortSignal` again is slow. */
const waiting = new WeakMap<AbortSignal, Set<() => void>>();

/** Calls `then` when the signal is aborted, at once when it is already. The returned function takes that back. */
export const onAbort = (signal: AbortSignal | undefined, then: (signal: AbortSignal) => void): (() => void) => {
  if (!signal) return nothing;
  const listener = (): void => then(signal);
  if (signal.aborted) listener();
  let listeners = waiting.get(signal);
  if (!listeners) {
    const all = new Set<() => void>();
    waiting.set(signal, (listeners = all));
    signal.addEventListener("abort", () => {
      for (const each of all) each();
    });
  }
  listeners.add(listener);
  return () => listeners.delete(listener);
};

/**
 * Runs work with a signal that is aborted, with an `MtsError` as its reason, when the caller's is or when the time
 * is over.
 */
export const within = async <T>(
  env: Environment,
  { signal, timeoutMs }: { readonly signal?: AbortSignal | undefined; readonly timeoutMs: number },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> => {
  const controller = new AbortController();
  const forget = onAbort(signal, (from) => controller.abort(aborted(from)));
  const cancel = env.after(timeoutMs, () => controller.abort(timedOut()));
  try {
    return await work(controller.signal);
  } finally {
    cancel();
    forget();
  }
};

/** Only for signals of `within`: it is not taken back. */
export const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => onAbort(signal, () => resolve()));
