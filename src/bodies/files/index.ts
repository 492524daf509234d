/**
 * Bodies in files on this machine: small ones appended to segment files, large ones in files of their own. One process
 * at a time may have the folder open; the data folder's lock sees to that.
 *
 * ```
 * s/<4>/<13>          segments, `s/0mh8/x3k2pq7d1v0aa`
 * o/<4>/<2>/<11>      large bodies
 * u/<2>/<…>           bodies that publishers put by themselves, see `../uploads.ts`
 * tmp/<17>            large bodies that are not whole yet
 * address-secret      what addresses are signed with
 * ```
 * @module
 */
import { join } from "node:path";
import { chunksOf } from "../chunks.ts";
import type { BodyStore } from "../contract.ts";
import { Addresses } from "./addresses.ts";
import { DiskTurns } from "./disk-turns.ts";
import { closedError, writing } from "./faults.ts";
import { Folders } from "./folders.ts";
import { ReadHandles } from "./handles.ts";
import { type FileIo, nodeFileIo } from "./io.ts";
import { LargeObjectWriter } from "./large-objects.ts";
import { listObjects, sizeOf } from "./listing.ts";
import { partFolder, sortableId } from "./names.ts";
import { BodyReader } from "./reader.ts";
import { ObjectRemover } from "./remove.ts";
import { SegmentWriter } from "./segments.ts";

/** Large enough that opening files does not count, small enough that a mostly deleted one does not hold much back. */
const segmentBytesMaxDefault = 64 * 1024 * 1024;

/** Where and how. */
export interface FileBodiesOptions {
  /** Folder of the store; made when it is not there. */
  readonly path: string;
  /** The operating system's files when left out. */
  readonly io?: FileIo;
  /** A segment file ends before it would grow past this; 64 MiB. A single larger write gets a segment alone. */
  readonly segmentBytesMax?: number;
  /** At least 12 characters of `0-9a-z`, never the same twice, in order of time. */
  readonly randomId?: () => string;
  /** Unix milliseconds, for the addresses. */
  readonly nowMs?: () => number;
}

/**
 * Opens the store and removes what uploads of dead processes left.
 * @throws StreamError `storage_full`, `unavailable`
 */
export const openFileBodies = async (options: FileBodiesOptions): Promise<BodyStore> => {
  const { path, io = nodeFileIo, segmentBytesMax = segmentBytesMaxDefault, randomId: newId = sortableId } = options;
  const { nowMs = Date.now } = options;
  const folders = new Folders(io, path);
  await writing(folders.makeRoot());
  await writing(folders.make(partFolder));
  await writing(removeLeftOvers(io, join(path, partFolder)));

  const turns = new DiskTurns(() => io.nowMs());
  const objects = new LargeObjectWriter({ io, folders, path, newId, turns });
  const parts = { io, folders, path, segmentBytesMax, newId, turns };
  const segments = { publish: new SegmentWriter(parts, "publish"), copy: new SegmentWriter(parts, "copy") };
  const seal = async (objects: ReadonlySet<string>): Promise<void> => {
    await Promise.all([segments.publish.seal(objects), segments.copy.seal(objects)]);
  };
  const handles = new ReadHandles(io, path);
  const reader = new BodyReader(io, handles);
  const remover = new ObjectRemover({ io, path, seal, handles, turns });
  const size: BodyStore["size"] = (object) => sizeOf(path, object);
  const stream: BodyStore["stream"] = (ref, range) => reader.stream(ref, range);
  const addresses = new Addresses({ path, objects, store: { size, stream }, nowMs });
  let closed = false;

  return {
    writeSegment: (bodies, kind = "publish") => segments[kind].write(bodies),
    writeObject: (body, signal) => objects.write(body instanceof Uint8Array ? chunksOf(body) : body, signal),
    read: async (refs) => {
      if (closed) throw closedError();
      return reader.read(refs);
    },
    stream,
    size,
    list: () => listObjects(path),
    remove: async (objects) => {
      if (closed) throw closedError();
      return remover.remove(objects);
    },
    seal: (objects) => seal(new Set(objects)),
    pointer: (ref, validMs) => addresses.pointer(ref, validMs),
    openUpload: async (claim, validMs) => {
      if (closed) throw closedError();
      return addresses.open(claim, validMs);
    },
    completeUpload: (claim, key) => addresses.complete(claim, key),
    takeUpload: (claim, key) => addresses.take(claim, key),
    addresses,
    ready: async () => {
      if (closed) throw closedError();
      await writing(probe(io, join(path, partFolder, newId())));
    },
    close: async () => {
      closed = true;
      await Promise.all([segments.publish.close(), segments.copy.close(), objects.close(), remover.close()]);
      handles.close();
    },
  };
};

const removeLeftOvers = async (io: FileIo, folder: string): Promise<void> => {
  for (const name of await io.list(folder)) await io.unlink(join(folder, name));
};

/** A disk that became read-only, or has no room for another name, shows here. */
const probe = async (io: FileIo, path: string): Promise<void> => {
  await io.close(await io.open(path, "create"));
  await io.unlink(path);
};
