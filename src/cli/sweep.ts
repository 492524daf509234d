/**
 * `sweep`: one round of upkeep at once, over the stores of a stopped server or beside running ones.
 * @module
 */
import type { Config } from "../config-shape.ts";
import { needsDataFolder, openStores, type Stores } from "../stores.ts";
import { type CompactionChoice, CompactionMemory, type DamagedBody, findSparse } from "../upkeep/compaction.ts";
import { noFigures, type SweepFigures } from "../upkeep/figures.ts";
import { findOrphans } from "../upkeep/orphans.ts";
import { runPass } from "../upkeep/pass.ts";
import { RemovedObjects } from "../upkeep/removed.ts";
import type { Command } from "./command.ts";
import { count, sizeText } from "./format.ts";
import { type Io, interruptedCode } from "./io.ts";
import { storeOptions, withStoresOf } from "./offline.ts";
import { StatusLine } from "./progress.ts";

/** Damaged bodies that are named. */
const damagedMax = 100;

/** What was asked for. */
interface SweepChoice {
  readonly graceMs: number;
  readonly orphans: boolean;
  readonly compaction: CompactionChoice;
  /** Nobody else has the stores, so that no publish is under way. */
  readonly alone: boolean;
}

export const sweepCommand: Command = {
  name: "sweep",
  usage: "[--dry-run] [--grace DURATION] [--orphans] [--data-dir DIR]",
  summary: "delete what policies no longer keep, rewrite sparse objects, delete objects that belong to no message",
  details: `
Does at once what a server does every sweep_interval: deletes the messages that policies no longer keep, and the
objects of the body store into which no message has pointed for the time of --grace. Opens the stores that the settings
name, as the server would. An embedded server must be stopped; over Tarantool and S3 servers may be running.

With --orphans the whole body store is looked through for objects that nobody knows of, such as failed publishes
leave. They are noted, and deleted once --grace has passed since: by this round when it is 0s, else by a later one.

Objects of which messages use no more than compact_share, and many that are smaller than compact_below, are rewritten:
what messages use of them is copied, and they are deleted once pointers to them (pointer_lifetime) and --grace are over.
A body that does not have its checksum is named, never copied, and left where it is.

A short --grace beside running servers is safe; a publish whose object is deleted under it is written again, or
refused as unavailable when it is large.

With --dry-run nothing is changed: it says how many objects are noted for deletion and would be rewritten, and with
--orphans which objects belong to no message. What only a policy would delete is not counted.`,
  operands: { min: 0, max: 0 },
  isOffline: true,
  options: {
    "dry-run": { kind: "flag", meaning: "change nothing, say what there is" },
    grace: { kind: "text", placeholder: "DURATION", meaning: "how long nothing points into an object; sweep_grace" },
    orphans: { kind: "flag", meaning: "also look through the whole body store" },
    ...storeOptions,
  },
  run: (given, io) =>
    withStoresOf(given, io, async (config) => {
      const graceMs = given.durationMs("grace") ?? config.sweepGraceMs;
      const { compactShare: aliveShareMax, compactBelowBytes: tinyBytes, pointerLifetimeMs } = config;
      const compaction = { aliveShareMax, tinyBytes, pointerLifetimeMs };
      const choice = { graceMs, orphans: given.flag("orphans"), compaction, alone: needsDataFolder(config) };
      return withStores(config, (stores) =>
        given.flag("dry-run") ? lookOnly(stores, choice, io) : sweep(stores, choice, io),
      );
    }),
};

const withStores = async (config: Config, run: (stores: Stores) => Promise<number>): Promise<number> => {
  const stores = await openStores(config);
  try {
    return await run(stores);
  } finally {
    await Promise.allSettled([stores.metadata.close(), stores.bodies.close()]);
  }
};

const sweep = async (stores: Stores, { graceMs, orphans, compaction, alone }: SweepChoice, io: Io): Promise<number> => {
  const status = new StatusLine(io);
  let figures: SweepFigures = noFigures;
  const damaged: DamagedBody[] = [];
  status.show("sweeping");
  try {
    await runPass(stores, {
      graceMs,
      // Beside servers the deleted objects are theirs to forget, when no publish can point into them any more.
      removed: new RemovedObjects(alone ? 0 : Number.POSITIVE_INFINITY, () => performance.now()),
      orphans,
      compaction: { ...compaction, memory: new CompactionMemory() },
      onDamaged: (body) => {
        if (damaged.length < damagedMax) damaged.push(body);
      },
      clock: io.nowMs,
      rest: () => Promise.resolve(),
      signal: io.stop,
      onProgress: (done) => {
        figures = done;
        status.show(textOf(done));
      },
    });
  } finally {
    status.clear();
    for (const { object, offset, length } of damaged) {
      await io.stdout.write(
        `damaged: ${count(length, "byte")} at ${offset} of ${object}; the doctor names the message\n`,
      );
    }
    await io.stdout.write(`${textOf(figures)}\n`);
  }
  const waiting = await stores.metadata.countDead();
  if (waiting > 0) await io.stdout.write(`${count(waiting, "object")} noted for later sweeps\n`);
  if (io.stop.aborted) return interruptedCode;
  return figures.left + figures.damaged === 0 ? 0 : 1;
};

const textOf = (figures: SweepFigures): string => {
  const { expired, objects, bytes, left, orphans, orphanBytes, rewritten, movedBytes, damaged } = figures;
  return [
    `${count(expired, "message")} expired`,
    ...(rewritten > 0 ? [`${count(rewritten, "object")} rewritten (${sizeText(movedBytes)} copied)`] : []),
    `${count(objects, "object")} deleted (${sizeText(bytes)})`,
    ...(orphans > 0 ? [`${count(orphans, "orphan")} found (${sizeText(orphanBytes)})`] : []),
    ...(left > 0 ? [`${count(left, "object")} could not be deleted`] : []),
    ...(damaged > 0 ? [`${damaged} damaged`] : []),
  ].join(", ");
};

const lookOnly = async (stores: Stores, { graceMs, orphans, compaction }: SweepChoice, io: Io): Promise<number> => {
  const dead = await stores.metadata.countDead();
  await io.stdout.write(`${count(dead, "object")} noted for deletion\n`);
  const sparse = await findSparse(stores.metadata, compaction, graceMs);
  const alive = sparse.flatMap(({ bodies }) => bodies).reduce((sum, ref) => sum + (ref.storedLength ?? ref.length), 0);
  await io.stdout.write(`${count(sparse.length, "object")} to rewrite (${sizeText(alive)} to copy)\n`);
  if (!orphans) return 0;
  const status = new StatusLine(io);
  let [found, bytes] = [0, 0];
  for await (const page of findOrphans(stores, io.nowMs() - graceMs)) {
    if (io.stop.aborted) return interruptedCode;
    for (const object of page) {
      found++;
      bytes += object.bytes;
      await io.stdout.write(status.above(`${object.object} (${sizeText(object.bytes)})\n`));
    }
    status.show(`looking: ${count(found, "object")} without a message`);
  }
  status.clear();
  await io.stdout.write(`${count(found, "object")} without a message (${sizeText(bytes)}), those noted among them\n`);
  return 0;
};
