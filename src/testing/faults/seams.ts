/**
 * The server's seams with faults in them: the files of the body store, the body store, the metadata store. Everything
 * else passes through untouched.
 * @module
 */
import { basename, dirname } from "node:path";
import { type FileHandle, type FileIo, nodeFileIo } from "../../bodies/files/io.ts";
import type { Seams } from "../../main.ts";
import type { FaultPlan } from "./plan.ts";

/** What a file is for, as far as faults care: bodies appended to a segment, or a large body on its way. */
type FileKind = "segment" | "object";

const parent = (path: string, levels: number): string =>
  basename(Array.from({ length: levels }).reduce<string>((folder) => dirname(folder), path));

/** By the layout of the store: `s/<4>/<13>`, and `tmp/<17>` until a large body has its name. */
const kindOfFile = (path: string): FileKind | undefined => {
  if (parent(path, 1) === "tmp") return "object";
  return parent(path, 2) === "s" ? "segment" : undefined;
};

/** The folder of segments `s/<4>`, or of large bodies `o/<4>/<2>`. */
const kindOfFolder = (path: string): FileKind | undefined => {
  if (parent(path, 1) === "s") return "segment";
  return parent(path, 2) === "o" ? "object" : undefined;
};

const firstHalf = (parts: readonly Uint8Array[]): Uint8Array => {
  const bytes = Buffer.concat(parts);
  return bytes.subarray(0, Math.floor(bytes.length / 2));
};

/** The operating system's files, with faults around the writes of bodies. */
const faultyFileIo = (plan: FaultPlan, io: FileIo): FileIo => {
  const kinds = new Map<FileHandle, FileKind>();

  const beforeWrite = (file: FileHandle, parts: readonly Uint8Array[], position: number): void => {
    const kind = kinds.get(file);
    if (kind === undefined) return;
    if (kind === "segment") plan.passNow("segment.write.before");
    const half = plan.hit(`${kind}.write.half`);
    if (half === undefined) return;
    io.writeNow(file, [firstHalf(parts)], position);
    plan.fail(half);
  };

  return {
    ...io,
    async open(path, mode) {
      const file = await io.open(path, mode);
      const kind = kindOfFile(path);
      if (mode === "create" && kind !== undefined) kinds.set(file, kind);
      return file;
    },
    close(file) {
      kinds.delete(file);
      return io.close(file);
    },
    async write(file, parts, position) {
      beforeWrite(file, parts, position);
      return io.write(file, parts, position);
    },
    writeNow(file, parts, position) {
      beforeWrite(file, parts, position);
      return io.writeNow(file, parts, position);
    },
    async sync(file) {
      const kind = kinds.get(file);
      if (kind !== undefined) await plan.pass(`${kind}.sync.before`);
      await io.sync(file);
      if (kind === "segment") await plan.pass("segment.sync.after");
    },
    syncNow(file) {
      const kind = kinds.get(file);
      if (kind !== undefined) plan.passNow(`${kind}.sync.before`);
      io.syncNow(file);
      if (kind === "segment") plan.passNow("segment.sync.after");
    },
    async unlink(path) {
      await io.unlink(path);
      // Not the temporary files of a start or of `ready`.
      if (kindOfFile(path) !== "object") await plan.pass("object.unlink.after");
    },
    async rename(from, to) {
      await plan.pass("object.rename.before");
      await io.rename(from, to);
      await plan.pass("object.rename.after");
    },
    async syncFolder(path) {
      const kind = kindOfFolder(path);
      if (kind !== undefined) await plan.pass(`${kind}.folder.before`);
      await io.syncFolder(path);
      if (kind !== undefined) await plan.pass(`${kind}.folder.after`);
    },
  };
};

/** The target with some of its methods replaced; the others keep their `this`. */
export const withReplaced = <T extends object>(target: T, replaced: Partial<T>): T =>
  new Proxy(target, {
    get: (_, name) => {
      if (Object.hasOwn(replaced, name)) return Reflect.get(replaced, name) as unknown;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });

/** The seams of a server in which the plan's faults happen. */
export const faultySeams = (plan: FaultPlan): Seams => ({
  fileIo: faultyFileIo(plan, nodeFileIo),
  wrapBodies: (store) =>
    withReplaced(store, {
      async writeSegment(bodies) {
        await plan.pass("bodies.segment");
        return store.writeSegment(bodies);
      },
      async writeObject(body, signal) {
        await plan.pass("bodies.object");
        return store.writeObject(body, signal);
      },
      async remove(objects) {
        await plan.pass("bodies.remove.before");
        const left = await store.remove(objects);
        await plan.pass("bodies.remove.after");
        return left;
      },
    }),
  wrapMetadata: (store) =>
    withReplaced(store, {
      async commit(entries) {
        await plan.pass("commit.before");
        const outcomes = await store.commit(entries);
        await plan.pass("commit.after");
        return outcomes;
      },
      actors: withReplaced(store.actors, {
        async commit(request) {
          await plan.pass("actor.commit.before");
          const outcome = await store.actors.commit(request);
          await plan.pass("actor.commit.after");
          return outcome;
        },
      }),
      async commitDue(limit) {
        await plan.pass("due.before");
        const result = await store.commitDue(limit);
        if (result.committed > 0) await plan.pass("due.after");
        return result;
      },
      async range(subject, fromSequence, bounds) {
        await plan.pass("range.before");
        return store.range(subject, fromSequence, bounds);
      },
      async pull(request) {
        await plan.pass("pull.before");
        const page = await store.pull(request);
        await plan.pass("pull.after");
        return page;
      },
      async ack(requests) {
        await plan.pass("ack.before");
        const outcomes = await store.ack(requests);
        await plan.pass("ack.after");
        return outcomes;
      },
      async purge(subject, through) {
        await plan.pass("purge.before");
        const result = await store.purge(subject, through);
        await plan.pass("purge.after");
        return result;
      },
      async expire(after, limit) {
        await plan.pass("expire.before");
        const result = await store.expire(after, limit);
        if (result.expired > 0) await plan.pass("expire.after");
        return result;
      },
      async condemn(objects) {
        const orphans = await store.condemn(objects);
        await plan.pass("condemn.after");
        return orphans;
      },
      async takeSparse(request) {
        const objects = await store.takeSparse(request);
        if (objects.length > 0) await plan.pass("sparse.take.after");
        return objects;
      },
      async moveBodies(moves, lingerMs) {
        await plan.pass("move.before");
        const moved = await store.moveBodies(moves, lingerMs);
        await plan.pass("move.after");
        return moved;
      },
      async takeDead(request) {
        const objects = await store.takeDead(request);
        if (objects.length > 0) await plan.pass("dead.take.after");
        return objects;
      },
      async forgetDead(objects) {
        await store.forgetDead(objects);
        await plan.pass("dead.forget.after");
      },
    }),
});
