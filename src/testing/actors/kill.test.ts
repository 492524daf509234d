/**
 * The server dies by `kill -9` at random moments while an actor works; every message has its effects exactly once.
 * `FAULTS_SEED` repeats a run, `FAULTS_ROUNDS` makes it longer.
 * @module
 */
import { expect, test } from "bun:test";
import { makeFolder } from "../faults/folder.ts";
import { ServerProcess } from "../faults/process.ts";
import { SeededRandom } from "../faults/random.ts";
import { proveTally, publishNumbers, tallyFile, tallyUntil } from "./tallied.ts";

const rounds = Number(process.env["FAULTS_ROUNDS"] ?? 8);
const seed = Number(process.env["FAULTS_SEED"] ?? Math.floor(Math.random() * 2 ** 32));
const flags = ["--actors", `metrics,${tallyFile}`];

test(
  `${rounds} rounds of kill -9 while an actor works, seed ${seed}`,
  async () => {
    console.log(`kill -9 at random moments: FAULTS_SEED=${seed}`);
    await using folder = await makeFolder();
    const random = new SeededRandom(seed);
    let atLeast = 0;
    for (let round = 1; round <= rounds; round++) {
      await using server = await ServerProcess.start({ dataDir: folder.path, flags });
      // Rebuilt now and then, also in the middle of a rebuild.
      if (round % 3 === 0) await fetch(`${server.url}/v1/actors/tally/rebuild`, { method: "POST" });
      let isOver = false;
      const publishing = publishNumbers(
        () => server.url,
        () => isOver,
      );
      const killAt = atLeast + random.integer(1, 400);
      await tallyUntil(server.url, ({ state, rebuilding }) => rebuilding || state.count >= killAt);
      await Bun.sleep(random.integer(0, 60));
      await server.kill("SIGKILL");
      isOver = true;
      await publishing;
      atLeast = killAt;
    }
    await using server = await ServerProcess.start({ dataDir: folder.path, flags });
    expect(await proveTally(server.url)).toBeGreaterThan(rounds * 20);
    // And from the beginning once more: the same, and nothing is published again.
    await fetch(`${server.url}/v1/actors/tally/rebuild`, { method: "POST" });
    await proveTally(server.url);
  },
  30_000 + rounds * 10_000,
);
