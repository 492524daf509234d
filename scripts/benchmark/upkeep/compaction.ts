/**
 * Tiny messages that were published one at a time, each an object of its own, and what compaction makes of them.
 * @module
 */
import { readFileSync } from "node:fs";
import { parseSubject } from "../../../src/core/subject.ts";
import { HttpClient } from "../../../src/testing/http-client.ts";
import { metric } from "../../../src/testing/policies.ts";
import { cpuUsOf } from "../../load-test/cpu.ts";
import type { Bench, Readings, Scenario } from "../scenario.ts";
import { fill, indexOf } from "./fill.ts";
import { type Pace, PacedPublisher, paceReading } from "./paced.ts";
import { UpkeepRig } from "./rig.ts";
import { noUpkeepFlags, paces, promptFlags, scaled, type UpkeepOptions, waitFor, whiles } from "./scenarios.ts";

const subjects = Array.from({ length: 10 }, (_, index) => parseSubject(`tiny.${index}`));
const bodyBytes = 100;
/** Publishers that were there at once. */
const lanes = 32;
const pageMax = 1000;

/** Bytes that a process has read and written, files and sockets together. */
const ioOf = (pid: number | undefined): { readonly read: number; readonly written: number } => {
  const text = pid === undefined ? "" : readFileSync(`/proc/${pid}/io`, "latin1");
  const field = (name: string): number => Number(new RegExp(`^${name}: (\\d+)$`, "m").exec(text)?.[1] ?? NaN);
  return { read: field("rchar"), written: field("wchar") };
};

/** Publishes beside a server without upkeep. */
const withoutUpkeep = async (rig: UpkeepRig, bench: Bench, { show }: UpkeepOptions): Promise<Pace> => {
  show("publishing without compaction");
  const { warmupMs, beforeMs } = whiles(bench);
  const server = await rig.startServer(noUpkeepFlags);
  try {
    await using publisher = await PacedPublisher.start(server.url, paces.compaction, bodyBytes);
    await Bun.sleep(warmupMs);
    const fromMs = performance.now();
    await Bun.sleep(beforeMs);
    const untilMs = performance.now();
    await publisher.stop();
    return publisher.between(fromMs, untilMs);
  } finally {
    await server.close();
  }
};

/** Reads all of them back. @throws Error when one is not there or not what was written */
const readAll = async (url: string, messages: number): Promise<void> => {
  const http = new HttpClient(url);
  const found = new Set<number>();
  for (const subject of subjects) {
    for (let from = 1; ; ) {
      const page = await http.read(subject, { from, limit: pageMax });
      for (const { body } of page.messages) found.add(indexOf(body));
      if (page.messages.length === 0) break;
      from = page.nextSequence;
    }
  }
  if (found.size !== messages) throw new Error(`${found.size} of ${messages} messages came back`);
};

/** Compaction; of a store that makes an object of every write. */
export const compactionScenario = (options: UpkeepOptions): Scenario => {
  const { kind, show } = options;
  const name = `${kind}-compaction`;
  return {
    name,
    rows: [
      {
        id: name,
        title: `${kind}: objects after compaction, of 100,000 tiny messages published one at a time`,
        unit: "%",
        target: { atMost: 1 },
      },
      { id: `${name}-time`, title: `${kind}: how long that took, until the old objects were gone`, unit: "s" },
      {
        id: `${name}-p99`,
        title: `${kind}: p99 of a publisher at ${paces.compaction}/s during that, by p99 before`,
        unit: "x",
      },
    ],
    async measure(bench): Promise<Readings> {
      const messages = scaled(bench, 100_000);
      await using rig = await UpkeepRig.start(kind, bench.folder);
      const onProgress = (done: number): void => show(`publishing: ${done} of ${messages}`);
      const plan = { messages, batch: 1, lanes, subjects, bodyBytes, onProgress };
      const objects = await rig.withStores((stores) => fill(stores, plan));
      const before = await withoutUpkeep(rig, bench, options);
      const server = await rig.startServer(promptFlags);
      try {
        const startMs = performance.now();
        const pids = { server: server.pid, store: rig.backends?.minio.pid };
        const storeBefore = ioOf(pids.store);
        await using publisher = await PacedPublisher.start(server.url, paces.compaction, bodyBytes);
        await waitFor("the copies", async () => {
          const moved = await metric(server.url, "mts_moved_messages_total");
          show(`compacting: ${moved} of ${messages} messages`);
          return moved >= messages;
        });
        const movedMs = performance.now() - startMs;
        await waitFor("the objects", async () => {
          const deleted = await metric(server.url, "mts_deleted_objects_total");
          show(`compacting: ${deleted} of ${objects.size} objects are deleted`);
          return deleted >= objects.size;
        });
        await waitFor("the last objects", async () => (await rig.objects()).intersection(objects).size === 0);
        const endMs = performance.now();
        await publisher.stop();
        // What was published meanwhile is compacted when it is old enough.
        await waitFor("the rest", async () => (await rig.objects()).size < messages / 100, { limitMs: 300_000 }).catch(
          () => undefined,
        );
        const left = (await rig.objects()).size;
        const storeAfter = ioOf(pids.store);
        const [movedBytes, moved, usedUs, failures] = [
          await metric(server.url, "mts_moved_body_bytes_total"),
          await metric(server.url, "mts_moved_messages_total"),
          cpuUsOf(pids.server) ?? NaN,
          await metric(server.url, "mts_sweep_failures_total"),
        ];
        show("reading everything");
        await readAll(server.url, messages);
        await server.stop();
        await rig.doctor();
        return {
          [name]: {
            value: (left / objects.size) * 100,
            details: { objects_before: objects.size, objects_after: left },
          },
          [`${name}-time`]: {
            value: (endMs - startMs) / 1000,
            details: {
              copied_s: movedMs / 1000,
              moved_messages: moved,
              body_bytes_read_and_written: movedBytes,
              store_io_read_mb: (storeAfter.read - storeBefore.read) / 1e6,
              store_io_written_mb: (storeAfter.written - storeBefore.written) / 1e6,
              server_cpu_s: usedUs / 1e6,
              sweep_failures: failures,
            },
          },
          [`${name}-p99`]: paceReading(before, publisher.between(startMs + whiles(bench).warmupMs, endMs)),
        };
      } finally {
        await server.close();
      }
    },
  };
};
