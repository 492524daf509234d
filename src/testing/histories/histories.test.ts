/**
 * A few short histories over both pairs of stores; `bun scripts/histories.ts` plays as many and as long ones as one likes.
 */
import { describe, expect, test } from "bun:test";
import { makeFolder } from "../faults/folder.ts";
import { Backends } from "../nodes/cluster.ts";
import { BrokerWorld } from "./broker-world.ts";
import { makeEmbeddedPlace } from "./embedded-place.ts";
import { playHistory } from "./play.ts";
import { ProcessWorld } from "./process-world.ts";
import { RemotePlaces } from "./remote-place.ts";

const caseMsMax = 120_000;
/** Of histories whose servers really start, and die. */
const killedSteps = 25;
/** Seeds that found something once: messages of one object in ranges that overlapped, which were counted twice. */
const foundBySeeds = [82] as const;

describe("with a clock that is moved", () => {
  test.each([
    ...[1, 2, 3, 4, 5, 6].map((seed) => [seed, true] as const),
    ...foundBySeeds.map((seed) => [seed, false] as const),
  ])(
    "over SQLite and files, seed %d, with an actor: %p",
    async (seed, actors) => {
      await using world = await BrokerWorld.start(await makeEmbeddedPlace(), { compress: seed % 2 === 0, actors });
      const { published } = await playHistory(world, { seed, steps: 80, crashes: true });
      expect(published).toBeGreaterThan(0);
    },
    caseMsMax,
  );

  test(
    "over Tarantool and MinIO",
    async () => {
      await using places = await RemotePlaces.start();
      for (const seed of [1, 2]) {
        await using world = await BrokerWorld.start(await places.make(), { compress: seed % 2 === 0, actors: true });
        const { published } = await playHistory(world, { seed, steps: 50, crashes: true });
        expect(published).toBeGreaterThan(0);
      }
    },
    caseMsMax,
  );
});

describe("with servers that are killed", () => {
  test(
    "over SQLite and files",
    async () => {
      await using folder = await makeFolder();
      const options = { seed: 1, dataDir: folder.path, env: { MTS_COMPRESS: "zstd" }, crashes: true, actors: true };
      await using world = await ProcessWorld.start(options);
      const { deaths } = await playHistory(world, { seed: 1, steps: killedSteps, crashes: true });
      expect(deaths).toBeGreaterThan(0);
    },
    caseMsMax,
  );

  test(
    "over Tarantool and MinIO",
    async () => {
      await using backends = await Backends.start();
      await using folder = await makeFolder();
      await using other = await makeFolder();
      const own = { dataDir: folder.path, otherDataDir: other.path };
      const options = { ...own, seed: 2, env: backends.env(), crashes: true, actors: true };
      await using world = await ProcessWorld.start(options);
      const { deaths } = await playHistory(world, { seed: 2, steps: killedSteps, crashes: true });
      expect(deaths).toBeGreaterThan(0);
    },
    caseMsMax,
  );
});
