/**
 * A data folder that a test owns: it outlives the servers that run on it one after the other.
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder; gone with the block that has it by `await using`. */
export interface OwnedFolder extends AsyncDisposable {
  readonly path: string;
}

/** Makes a fresh folder. */
export const makeFolder = async (): Promise<OwnedFolder> => {
  const path = await mkdtemp(join(tmpdir(), "mts-faults-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
};
