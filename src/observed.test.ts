import { expect, test } from "bun:test";
import { StreamError } from "./core/errors.ts";
import { observed } from "./observed.ts";

class Store {
  readonly name = "store";
  readonly #secret = 42;
  get secret(): number {
    return this.#secret;
  }
  async takeDead(count: number): Promise<number> {
    return this.#secret + count;
  }
  async commit(): Promise<never> {
    throw new StreamError("storage_full", "No room.");
  }
  async crash(): Promise<never> {
    throw new TypeError("a bug");
  }
  readonly part = { getRow: async () => 7 };
  async *list(): AsyncGenerator<number> {
    yield 1;
  }
}

test("tells of calls, and changes nothing of what they give", async () => {
  const calls: [string, string][] = [];
  const times: number[] = [];
  const store = observed(
    new Store(),
    (operation, ms, outcome) => {
      calls.push([operation, outcome]);
      times.push(ms);
    },
    ["part"],
  );
  expect([store.name, store.secret, await store.takeDead(1)]).toEqual(["store", 42, 43]);
  expect(store.commit()).rejects.toThrow("No room.");
  expect(store.crash()).rejects.toThrow("a bug");
  expect(await Array.fromAsync(store.list())).toEqual([1]);
  expect(await store.part.getRow()).toBe(7);
  expect(calls).toEqual([
    ["take_dead", "ok"],
    ["commit", "storage_full"],
    ["crash", "internal"],
    ["part_get_row", "ok"],
  ]);
  expect(times.every((ms) => ms >= 0 && ms < 1000)).toBe(true);
});
