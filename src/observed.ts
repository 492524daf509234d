/**
 * A store that tells of its calls. What it gives back is the store in all else: values, and methods that answer no promise
 * (streams, listings), go through as they are.
 * @module
 */
import { type CallObserver, observedCall } from "./core/calls.ts";

/** `takeDead` as `take_dead`. */
const operationOf = (method: string): string => method.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

type Method = (...args: readonly unknown[]) => unknown;

/** Watches a store, and under a prefix the stores that are its values: `actors.commit` is `actors_commit`. */
export const observed = <T extends object>(
  store: T,
  observe: CallObserver,
  within: readonly string[] = [],
  prefix = "",
): T => {
  const known = new Map<PropertyKey, unknown>();
  const watched = (name: string, method: Method): Method => {
    const operation = prefix + operationOf(name);
    return (...args) => {
      const startedMs = performance.now();
      const answer = Reflect.apply(method, store, args);
      if (!(answer instanceof Promise)) return answer;
      // The time before the promise was there counts, too: an embedded store works then.
      const since: CallObserver = (of, _, outcome) => observe(of, performance.now() - startedMs, outcome);
      return observedCall(since, operation, () => answer);
    };
  };
  return new Proxy(store, {
    get: (target, name) => {
      const found = known.get(name);
      if (found !== undefined) return found;
      const value: unknown = Reflect.get(target, name, target);
      if (typeof name !== "string") return value;
      const part = within.includes(name) && typeof value === "object" && value !== null ? value : undefined;
      if (part === undefined && typeof value !== "function") return value;
      const seen = part === undefined ? watched(name, value as Method) : observed(part, observe, [], `${name}_`);
      known.set(name, seen);
      return seen;
    },
  });
};
