/**
 * HTTP requests by route. The transport asks for a counter for each of its routes once.
 * @module
 */
import { Durations } from "../core/durations.ts";
import { type Distribution, inSeconds, type Labels, type Sample } from "./exposition.ts";

interface RouteFigures {
  readonly labels: { readonly method: string; readonly route: string };
  readonly statuses: Map<number, number>;
  readonly durations: Durations;
}

/** Counts requests. */
export class HttpFigures {
  readonly #routes: RouteFigures[] = [];

  /** The counter of a route, by its template. */
  counter(method: string, route: string): (status: number, ms: number) => void {
    const figures: RouteFigures = { labels: { method, route }, statuses: new Map(), durations: new Durations(2) };
    const { statuses, durations } = figures;
    return (status, ms) => {
      // A route that nobody asks for is on no page.
      if (statuses.size === 0) this.#routes.push(figures);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      durations.add(ms);
    };
  }

  *counts(): Iterable<Sample> {
    const sums = new Map<string, [Labels, number]>();
    for (const { labels, statuses } of this.#routes) {
      for (const [status, count] of statuses) {
        const key = `${labels.method} ${labels.route} ${status}`;
        const known = sums.get(key);
        if (known === undefined) sums.set(key, [{ ...labels, status: String(status) }, count]);
        else known[1] += count;
      }
    }
    yield* sums.values();
  }

  *durations(): Iterable<readonly [Labels, Distribution]> {
    for (const { labels, durations } of this.#routes) {
      if (labels.route !== "unmatched") yield [labels, inSeconds(durations)];
    }
  }
}
