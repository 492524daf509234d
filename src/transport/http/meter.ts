/**
 * Counting requests by their routes: the template of a path, never the path itself, which names subjects.
 * @module
 */

/** Told of requests that were answered. */
export interface HttpMeter {
  /**
   * Makes the counter of one route; asked once for each.
   * @param route template in the form of the OpenAPI document; `unmatched` for what reaches no route
   * @returns told of each answer. @param ms until the answer began; of a live tail that is not its end
   */
  counter(method: string, route: string): (status: number, ms: number) => void;
}

/** Counts nothing. */
export const noMeter: HttpMeter = { counter: () => () => undefined };

/** `/v1/subjects/:subject` as `/v1/subjects/{subject}`. */
export const templateOf = (path: string): string => path.replaceAll(/:(\w+)/g, "{$1}");

/** Counts an answer when it is there, beside its way to the client. */
export const metered = (
  count: (status: number, ms: number) => void,
  handle: () => Response | Promise<Response>,
): Response | Promise<Response> => {
  const startedMs = performance.now();
  const answer = handle();
  if (answer instanceof Promise) {
    answer.then(
      ({ status }) => count(status, performance.now() - startedMs),
      () => count(500, performance.now() - startedMs),
    );
  } else {
    count(answer.status, performance.now() - startedMs);
  }
  return answer;
};
