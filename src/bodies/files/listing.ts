/**
 * The listing of objects, folder by folder.
 * @module
 */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { StoredObject } from "../contract.ts";
import { listedObject } from "../uploads.ts";
import { isAbsent, readError } from "./faults.ts";
import { isSafeName, objectFolders } from "./names.ts";

/** All objects of the store below `root`, a page a folder. What disappears meanwhile is left out. */
export async function* listObjects(root: string): AsyncGenerator<readonly StoredObject[]> {
  for (const folder of objectFolders) yield* listFolder(root, folder);
}

async function* listFolder(root: string, folder: string): AsyncGenerator<readonly StoredObject[]> {
  const entries = await gone(readdir(join(root, folder), { withFileTypes: true }), []);
  const page: StoredObject[] = [];
  for (const entry of entries) {
    const object = `${folder}/${entry.name}`;
    if (entry.isDirectory()) yield* listFolder(root, object);
    else {
      const stats = await gone(stat(join(root, object)), undefined);
      if (stats !== undefined) page.push(listedObject(object, stats.size, Math.floor(stats.mtimeMs)));
    }
  }
  if (page.length > 0) yield page;
}

/** Bytes of one object, or null. */
export const sizeOf = async (root: string, object: string): Promise<number | null> => {
  if (!isSafeName(object)) return null;
  return (await gone(stat(join(root, object)), null))?.size ?? null;
};

/** A value in place of "there is no such file". */
const gone = async <T, U>(promise: Promise<T>, instead: U): Promise<T | U> =>
  promise.catch((thrown: unknown) => {
    if (isAbsent(thrown)) return instead;
    throw readError(thrown);
  });
