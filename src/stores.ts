/**
 * Opens the stores that the configuration names, for the server and for the doctor alike: the only file that names a
 * driver. Whoever calls holds the data folder (`data-folder.ts`) already, when one is needed.
 * @module
 */
import { existsSync } from "node:fs";
import { compressed } from "./bodies/compressed/index.ts";
import type { BodyStore } from "./bodies/contract.ts";
import { openFileBodies } from "./bodies/files/index.ts";
import type { FileIo } from "./bodies/files/io.ts";
import { openS3Bodies } from "./bodies/s3/index.ts";
import type { Config } from "./config-shape.ts";
import type { CallObserver } from "./core/calls.ts";
import { StreamError, toStreamError } from "./core/errors.ts";
import type { MetadataStore } from "./metadata/contract.ts";
import { openSqliteMetadata } from "./metadata/sqlite/index.ts";
import { type Measured, openTarantoolMetadata } from "./metadata/tarantool/index.ts";
import { observed } from "./observed.ts";

/** Where a test entry may put itself between the server and its stores; the product uses none of them. */
export interface StoreSeams {
  readonly fileIo?: FileIo;
  readonly clock?: () => number;
  wrapMetadata?(store: MetadataStore): MetadataStore;
  wrapBodies?(store: BodyStore): BodyStore;
}

/** Who is told of calls: to the two stores as the server knows them, and of drivers to their servers. */
export interface StoreObservers {
  readonly metadata: CallObserver;
  readonly bodies: CallObserver;
  readonly tarantool: CallObserver;
  readonly s3: CallObserver;
}

/** Open stores; close both. */
export interface Stores {
  readonly metadata: MetadataStore;
  readonly bodies: BodyStore;
}

/** Whether a store lies in the data folder of this machine, which then belongs to one process. */
export const needsDataFolder = ({ metadata, bodies }: Config): boolean =>
  metadata.kind === "sqlite" || bodies.kind === "files";

/** The file of embedded metadata that is not there, so that opening would make an empty store; else undefined. */
export const missingMetadata = ({ metadata }: Config): string | undefined =>
  metadata.kind !== "sqlite" || existsSync(metadata.path) ? undefined : metadata.path;

/**
 * Opens both stores, or neither.
 * @throws StreamError whatever a store refuses with
 */
export const openStores = async (
  config: Config,
  seams: StoreSeams = {},
  observers?: StoreObservers,
): Promise<Stores> => {
  const bodies = await openBodies(config, seams, observers);
  try {
    const metadata = await openMetadata(config, seams, bodies, observers);
    const stores = {
      metadata: seams.wrapMetadata?.(metadata) ?? metadata,
      bodies: seams.wrapBodies?.(bodies) ?? bodies,
    };
    if (observers === undefined) return stores;
    return {
      metadata: observed(stores.metadata, observers.metadata, ["actors"]),
      bodies: observed(stores.bodies, observers.bodies),
    };
  } catch (error) {
    await bodies.close();
    throw error;
  }
};

const openBodies = async (
  { bodies, compress }: Config,
  { fileIo, clock }: StoreSeams,
  observers?: StoreObservers,
): Promise<BodyStore> => {
  const store =
    bodies.kind === "s3"
      ? await naming("MTS_BODIES_URL", openS3Bodies({ ...bodies, observe: observers?.s3 }))
      : await openFileBodies({ path: bodies.path, ...(fileIo && { io: fileIo }), ...(clock && { nowMs: clock }) });
  // Whether or not new bodies are packed: earlier ones may be.
  return compressed(store, { compress: compress === "zstd" });
};

const openMetadata = async (
  { metadata, dedupeWindowMs }: Config,
  { clock = Date.now }: StoreSeams,
  bodies: BodyStore,
  observers?: StoreObservers,
): Promise<MetadataStore> =>
  metadata.kind === "tarantool"
    ? naming(
        "MTS_METADATA_URL",
        openTarantoolMetadata({
          ...metadata,
          dedupeWindowMs,
          measure: (object) => measure(bodies, object),
          observe: observers?.tarantool,
        }),
      )
    : openSqliteMetadata({ path: metadata.path, clock, dedupeWindowMs });

/** Names the setting in the error of a store that does not open: it is where a password or a host would be wrong. */
const naming = async <T>(setting: string, opening: Promise<T>): Promise<T> => {
  try {
    return await opening;
  } catch (thrown) {
    const { code, message, fields, cause } = toStreamError(thrown);
    // Whoever starts a server has to know what is behind it, such as a name that does not resolve.
    const reason = cause instanceof Error && !message.includes(cause.message) ? ` ${cause.message}` : "";
    throw new StreamError(code, `${setting}: ${message}${reason}`, fields, cause);
  }
};

/** Length and digest of an object that an old client published by its name only; null when it is not there. */
const measure = async (bodies: BodyStore, object: string): Promise<Measured | null> => {
  const length = await bodies.size(object);
  if (length === null) return null;
  const hasher = new Bun.CryptoHasher("sha256");
  const nothing = new Uint8Array(0);
  for await (const chunk of bodies.stream({ object, offset: 0, length, sha256: nothing })) hasher.update(chunk);
  return { length, sha256: hasher.digest() };
};
