/**
 * One actor on two servers over Tarantool and MinIO: one owns it, the other takes over when it dies or hangs, and
 * nothing happens twice.
 * @module
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { proveTally, publishNumbers, shownTally, tallyFile, tallyUntil } from "../actors/tallied.ts";
import { useCluster } from "./use-cluster.ts";

setDefaultTimeout(90_000);

const cluster = useCluster({ nodes: 2, env: { MTS_ACTORS: tallyFile } });

/** Which of the nodes owns the actor: it is the one that stops it with it. */
const working = async (url: string): Promise<string> => {
  const { owner } = await tallyUntil(url, ({ owner: found }) => found !== null);
  return owner ?? "";
};

test("one dies, one hangs, one is restarted: the other goes on within 10 s, and nothing happens twice", async () => {
  const { a, b } = cluster();
  let isOver = false;
  const alive = new Set([a, b]);
  const urlOf = (): string => [...alive][0]?.url ?? "";
  const publishing = publishNumbers(urlOf, () => isOver);
  try {
    // B is the one that watches; A owns the actor once B was away.
    await b.kill("SIGTERM");
    alive.delete(b);
    const ownerA = await working(a.url);
    await tallyUntil(a.url, ({ state }) => state.count > 100);
    await b.start();
    alive.add(b);
    expect(await working(b.url)).toBe(ownerA);

    // A hangs.
    alive.delete(a);
    await a.pause();
    const hungAt = performance.now();
    const ownerB = (await tallyUntil(b.url, ({ owner }) => owner !== null && owner !== ownerA)).owner;
    const { state: atTakeover } = await shownTally(b.url);
    await tallyUntil(b.url, ({ state }) => state.count > atTakeover.count);
    const hungMs = performance.now() - hungAt;
    console.log(`taken over from one that hangs after ${Math.round(hungMs)} ms`);
    expect(hungMs).toBeLessThan(10_000);

    // It wakes, and does no harm.
    a.proceed();
    alive.add(a);
    await tallyUntil(a.url, ({ owner }) => owner === ownerB);

    // The owner dies.
    alive.delete(b);
    await b.kill("SIGKILL");
    const diedAt = performance.now();
    await tallyUntil(a.url, ({ owner }) => owner !== null && owner !== ownerB);
    const { state: afterDeath } = await shownTally(a.url);
    await tallyUntil(a.url, ({ state }) => state.count > afterDeath.count);
    const diedMs = performance.now() - diedAt;
    console.log(`taken over from one that died after ${Math.round(diedMs)} ms`);
    expect(diedMs).toBeLessThan(10_000);
    await b.start();
    alive.add(b);

    // Rebuilt from the node that does not own it.
    await fetch(`${b.url}/v1/actors/tally/rebuild`, { method: "POST" });
    await tallyUntil(b.url, ({ generation, rebuilding }) => generation === 2 && !rebuilding);
  } finally {
    isOver = true;
    await publishing;
  }
  expect(await proveTally(a.url)).toBeGreaterThan(100);
  await proveTally(b.url);
});

test("a clean stop gives the lease back", async () => {
  const { a, b } = cluster();
  await b.kill("SIGTERM");
  await tallyUntil(a.url, ({ owner }) => owner !== null);
  await a.kill("SIGTERM");
  await a.start();
  // Of the 6 s of a lease nothing is waited for.
  const startedAt = performance.now();
  await tallyUntil(a.url, ({ owner }) => owner !== null);
  expect(performance.now() - startedAt).toBeLessThan(3000);
  await b.start();
});
