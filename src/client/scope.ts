/**
 * The end of a call: its caller's signal, or its time.
 * @module
 */
import type { Environment } from "./environment.ts";
import { aborted, MtsError } from "./errors.ts";

export const timedOut = (timeoutMs: number): MtsError =>
  new MtsError("timed_out", `There was no answer within ${timeoutMs} ms.`, true);

/**
 * Runs work with a signal that is aborted, with an `MtsError` as its reason, when the caller's is or when the time
 * is over.
 */
export const within = async <T>(
  environment: Environment,
  bounds: { readonly signal?: AbortSignal | undefined; readonly timeoutMs: number },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> => {
  const controller = new AbortController();
  const { signal, timeoutMs } = bounds;
  const abort = (): void => controller.abort(aborted(signal?.reason));
  if (signal?.aborted === true) abort();
  signal?.addEventListener("abort", abort);
  const cancel =
    timeoutMs === Number.POSITIVE_INFINITY
      ? undefined
      : environment.after(timeoutMs, () => controller.abort(timedOut(timeoutMs)));
  try {
    return await work(controller.signal);
  } finally {
    cancel?.();
    signal?.removeEventListener("abort", abort);
  }
};
