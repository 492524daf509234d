/**
 * What the benchmark of upkeep works on: a pair of stores that is filled through its contracts, because that is
 * quicker than publishing, and a server over it, started and stopped as often as needed.
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { listObjects } from "../../../src/bodies/files/listing.ts";
import { loadConfig } from "../../../src/config.ts";
import type { Config } from "../../../src/config-shape.ts";
import { openDataFolder } from "../../../src/data-folder.ts";
import { needsDataFolder, openStores, type Stores } from "../../../src/stores.ts";
import { runCli } from "../../../src/testing/cli.ts";
import { Backends } from "../../../src/testing/nodes/cluster.ts";
import { startTestServer, type TestServer } from "../../../src/testing/server.ts";

/** SQLite and files, or real Tarantool (which waits for its disk) and MinIO. */
export type StoreKind = "embedded" | "remote";

/** Tarantool keeps all rows in memory. */
const tarantoolMemory = "3GiB";

/** What the doctor has to say. */
export interface Diagnosis {
  readonly healthy: boolean;
  readonly messages: number;
}

/** A pair of stores. */
export class UpkeepRig implements AsyncDisposable {
  /** Of remote stores, which several may have open at once. */
  #opened: Promise<Stores> | undefined;

  private constructor(
    private readonly dataDir: string,
    private readonly config: Config,
    private readonly env: Readonly<Record<string, string>>,
    readonly backends: Backends | undefined,
  ) {}

  /** Empty stores. @param folder where they may lie */
  static async start(kind: StoreKind, folder: string): Promise<UpkeepRig> {
    const dataDir = await mkdtemp(join(folder, "upkeep-"));
    const backends = kind === "remote" ? await Backends.start(tarantoolMemory) : undefined;
    const env = backends?.env() ?? {};
    const loaded = loadConfig({ argv: ["--data-dir", dataDir], env, cwd: folder });
    if ("config" in loaded) return new UpkeepRig(dataDir, loaded.config, env, backends);
    await backends?.[Symbol.asyncDispose]();
    throw new Error("the stores cannot be configured");
  }

  /** Works on the stores while no server has them. */
  async withStores<T>(use: (stores: Stores) => Promise<T>): Promise<T> {
    await using held = new AsyncDisposableStack();
    if (needsDataFolder(this.config)) {
      const lock = await openDataFolder(this.dataDir);
      held.defer(() => lock.close());
    }
    const stores = await openStores(this.config);
    held.defer(() => stores.bodies.close());
    held.defer(() => stores.metadata.close());
    return await use(stores);
  }

  /** A server on the stores. @param flags of upkeep */
  startServer(flags: readonly string[]): Promise<TestServer> {
    return startTestServer({ dataDir: this.dataDir, env: this.env, flags });
  }

  /** Names of all objects of the body store, also beside a running server. */
  async objects(): Promise<ReadonlySet<string>> {
    const { bodies } = this.config;
    const names = new Set<string>();
    const addAll = async (pages: AsyncIterable<readonly { readonly object: string }[]>): Promise<void> => {
      for await (const page of pages) for (const { object } of page) names.add(object);
    };
    if (bodies.kind === "files") await addAll(listObjects(bodies.path));
    else {
      this.#opened ??= openStores(this.config);
      await addAll((await this.#opened).bodies.list());
    }
    return names;
  }

  /**
   * Takes objects that are gone out of a set, until it meets one that is not; beside a running server, which hardly
   * notices it, other than a list of all objects.
   */
  async dropGone(objects: Set<string>): Promise<void> {
    const { bodies } = this.config;
    const isThere = async (object: string): Promise<boolean> => {
      if (bodies.kind === "files") return Bun.file(join(bodies.path, object)).exists();
      this.#opened ??= openStores(this.config);
      return (await (await this.#opened).bodies.size(object)) !== null;
    };
    for (const object of objects) {
      if (await isThere(object)) return;
      objects.delete(object);
    }
  }

  /** Reads everything; embedded stores only while no server has them. @throws Error when something is wrong */
  async doctor(): Promise<Diagnosis> {
    const { stdout, stderr } = await runCli(["doctor", "--json", "--data-dir", this.dataDir], { env: this.env });
    const diagnosis = JSON.parse(stdout) as Diagnosis;
    if (!diagnosis.healthy) throw new Error(`the doctor found something: ${stdout.slice(0, 2000)}${stderr}`);
    return diagnosis;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined);
    await opened?.metadata.close();
    await opened?.bodies.close();
    await this.backends?.[Symbol.asyncDispose]();
    await rm(this.dataDir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }
}
