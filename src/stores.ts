/**
 * Opens the stores that the configuration names, for the server and for the doctor alike: the only file that names a
 * driver. Whoever calls holds the data folder (`data-folder.ts`) already.
 * @module
 */
import { existsSync } from "node:fs";
import type { BodyStore } from "./bodies/contract.ts";
import { openFileBodies } from "./bodies/files/index.ts";
import type { FileIo } from "./bodies/files/io.ts";
import type { Config } from "./config-shape.ts";
import type { MetadataStore } from "./metadata/contract.ts";
import { openSqliteMetadata } from "./metadata/sqlite/index.ts";

/** Where a test entry may put itself between the server and its stores; the product uses none of them. */
export interface StoreSeams {
  readonly fileIo?: FileIo;
  readonly clock?: () => number;
  wrapMetadata?(store: MetadataStore): MetadataStore;
  wrapBodies?(store: BodyStore): BodyStore;
}

/** Open stores; close both. */
export interface Stores {
  readonly metadata: MetadataStore;
  readonly bodies: BodyStore;
}

/** The file of embedded metadata that is not there, so that opening would make an empty store; else undefined. */
export const missingMetadata = ({ metadata }: Config): string | undefined =>
  existsSync(metadata.path) ? undefined : metadata.path;

/**
 * Opens both stores, or neither.
 * @throws StreamError whatever a store refuses with
 */
export const openStores = async (config: Config, seams: StoreSeams = {}): Promise<Stores> => {
  const sqlite = await openSqliteMetadata({
    path: config.metadata.path,
    clock: seams.clock ?? Date.now,
    dedupeWindowMs: config.dedupeWindowMs,
  });
  try {
    const files = await openFileBodies({ path: config.bodies.path, ...(seams.fileIo && { io: seams.fileIo }) });
    return {
      metadata: seams.wrapMetadata?.(sqlite) ?? sqlite,
      bodies: seams.wrapBodies?.(files) ?? files,
    };
  } catch (error) {
    await sqlite.close();
    throw error;
  }
};
