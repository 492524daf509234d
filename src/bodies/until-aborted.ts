/**
 * A source that an abort ends.
 * @module
 */

/** The source's chunks; an abort ends it also while the source keeps us waiting. */
export async function* untilAborted(
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  const source = chunks[Symbol.asyncIterator]();
  try {
    while (true) {
      const next = await (signal === undefined ? source.next() : abortable(source.next(), signal));
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // Not awaited: a source that never answers would hold the upload for ever.
    source.return?.().catch(() => undefined);
  }
}

/** The promise, or the reason of an abort that comes first. */
export const abortable = <T>(promise: Promise<T>, signal: AbortSignal): Promise<T> =>
  new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
