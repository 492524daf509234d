/**
 * Commands that work on the stores themselves and not through a server: the settings that name them, and the data
 * folder's lock while they are open.
 * @module
 */
import { existsSync } from "node:fs";
import { loadConfig } from "../config.ts";
import type { Config } from "../config-shape.ts";
import { type DataFolder, DataFolderError, DataFolderLockedError, openDataFolder } from "../data-folder.ts";
import { missingMetadata, needsDataFolder } from "../stores.ts";
import { CliFailure, type OptionSpec, UsageError } from "./command.ts";
import type { Io } from "./io.ts";
import type { Given } from "./options.ts";

/** Settings that say where the stores are; the others do not matter to what is stored. */
export const storeOptions = {
  "data-dir": { kind: "text", placeholder: "DIR", meaning: "data folder; default as for the server" },
  "metadata-url": { kind: "text", placeholder: "URL", meaning: "metadata store; default as for the server" },
  "bodies-url": { kind: "text", placeholder: "URL", meaning: "body store; default as for the server" },
  config: { kind: "text", placeholder: "FILE", meaning: "file with the settings; default as for the server" },
} as const satisfies Readonly<Record<string, OptionSpec>>;

/**
 * Runs with the configuration, and with the data folder held where the stores lie in it. Stores on other machines are
 * shared: servers may be running on them.
 * @throws UsageError, CliFailure
 */
export const withStoresOf = async (given: Given, io: Io, run: (config: Config) => Promise<number>): Promise<number> => {
  const config = configOf(given, io);
  const folder = needsDataFolder(config) ? await lock(config) : undefined;
  try {
    return await run(config);
  } finally {
    await folder?.close();
  }
};

const configOf = (given: Given, io: Io): Config => {
  const argv = Object.keys(storeOptions).flatMap((name) => {
    const value = given.text(name);
    return value === undefined ? [] : [`--${name}=${value}`];
  });
  const loaded = loadConfig({ argv, env: io.env, cwd: io.cwd });
  if ("errors" in loaded) throw new UsageError(loaded.errors.join("\nminitoolstream: "));
  if (!("config" in loaded)) throw new UsageError("the settings are a request for help");
  return loaded.config;
};

const lock = async (config: Config): Promise<DataFolder> => {
  const { dataDir } = config;
  // Opening would make them, and an empty store is always healthy.
  if (!existsSync(dataDir)) throw new CliFailure(`there is no data folder ${dataDir}; name it with --data-dir`);
  const missing = missingMetadata(config);
  if (missing !== undefined) {
    throw new CliFailure(`there is no metadata at ${missing}: no server has stored anything there`);
  }
  try {
    return await openDataFolder(dataDir);
  } catch (thrown) {
    if (thrown instanceof DataFolderLockedError) throw locked(dataDir, thrown.holderPid);
    throw thrown instanceof DataFolderError ? new CliFailure(thrown.message) : thrown;
  }
};

const locked = (dataDir: string, pid: number | undefined): CliFailure =>
  new CliFailure(
    `a server runs on ${dataDir}${pid === undefined ? "" : ` (process ${pid})`}: stop it first (Ctrl-C where it runs, or kill -TERM ${pid ?? "PID"}), then ask again`,
  );
