/**
 * What is left of messages that were published: memory after a million of them, memory of idle subjects, and the
 * start of a server that has them.
 * @module
 */
import { messageBytes, runLoad } from "./load.ts";
import { residentOf, settle } from "./memory.ts";
import type { Bench, Scenario } from "./scenario.ts";
import { BenchServer, withServer } from "./server.ts";

const settling = ({ quick }: Bench) =>
  quick ? { stillMs: 5000, limitMs: 30_000 } : { stillMs: 20_000, limitMs: 180_000 };

const fill = (url: string, count: number, subjects: number): Promise<unknown> =>
  runLoad({ url, count, subjects, size: `${messageBytes}B`, warmup: "0s", subscribers: 0 });

const million: Scenario = {
  name: "million",
  rows: [
    { id: "rss", title: "RSS after a million messages of 1 KB, then idle", unit: "MB", target: { atMost: 150 } },
    {
      id: "start",
      title: "start with a million messages stored (page cache as it is)",
      unit: "ms",
      target: { atMost: 1000 },
    },
    { id: "start-crashed", title: "the same after kill -9", unit: "ms", target: { atMost: 1000 } },
  ],
  async measure(bench) {
    return withServer(bench.folder, async (server) => {
      const emptyRss = residentOf(server.pid).total;
      await fill(server.url, bench.quick ? 100_000 : 1_000_000, 1);
      const fullRss = residentOf(server.pid);
      const idle = await settle(server.pid, settling(bench));
      await server.stop();
      const stopped = await BenchServer.on(server.dataDir);
      await stopped.crash();
      const crashed = await BenchServer.on(server.dataDir);
      await crashed.stop();
      return {
        rss: {
          value: idle.total / 1e6,
          details: {
            when_started_mb: emptyRss / 1e6,
            right_after_mb: fullRss.total / 1e6,
            peak_mb: idle.peak / 1e6,
            anonymous_mb: idle.anonymous / 1e6,
            settled: Number(idle.settled),
          },
        },
        start: { value: stopped.startMs },
        "start-crashed": { value: crashed.startMs },
      };
    });
  },
};

/** Actors are put away after a minute; a server that never does is not waited for longer than this. */
const putAwayMsMax = 180_000;
const pollMs = 1000;

const idleSubjects: Scenario = {
  name: "subjects",
  rows: [
    {
      id: "subjects",
      title: "RSS of an idle subject, of 100,000 published to once",
      unit: "B",
      target: { atMost: 1500 },
    },
  ],
  async measure(bench) {
    const count = 100_000;
    return withServer(bench.folder, async (server) => {
      // As many messages over one subject first: what publishing itself leaves in memory is not the subjects'.
      await fill(server.url, count, 1);
      await actorsAway(server);
      const before = await settle(server.pid, settling(bench));
      await fill(server.url, count, count);
      const right = residentOf(server.pid);
      const actorsLeft = await actorsAway(server);
      const after = await settle(server.pid, settling(bench));
      return {
        subjects: {
          value: (after.total - before.total) / count,
          details: {
            before_mb: before.total / 1e6,
            right_after_mb: right.total / 1e6,
            idle_mb: after.total / 1e6,
            anonymous_bytes_a_subject: (after.anonymous - before.anonymous) / count,
            actors_left: actorsLeft,
            settled: Number(before.settled && after.settled),
          },
        },
      };
    });
  },
};

/** Waits until no actor is left, and returns how many there are in the end. */
const actorsAway = async (server: BenchServer): Promise<number> => {
  const untilMs = performance.now() + putAwayMsMax;
  while (true) {
    const actors = await server.liveActors();
    if (actors === 0 || performance.now() >= untilMs) return actors;
    await Bun.sleep(pollMs);
  }
};

/** In the order of the table. */
export const storedScenarios: readonly Scenario[] = [million, idleSubjects];
