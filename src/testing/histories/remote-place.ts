/**
 * Tarantool and MinIO for histories with a clock that is moved: one pair for all of them, emptied between two.
 * @module
 */
import Tarantool from "tarantool-driver";
import { openS3Bodies } from "../../bodies/s3/index.ts";
import { openTarantoolMetadata } from "../../metadata/tarantool/index.ts";
import { startMinio, type TestMinio } from "../minio.ts";
import { startTarantool, type TestTarantool } from "../tarantool.ts";
import type { StorePlace } from "./broker-world.ts";

const dedupeWindowMs = 10 * 60_000;
const bucketPrefix = "history";
/** Where the clock stands in a store that was emptied. */
const startMs = 1_700_000_000_000;

/** See the module. */
export class RemotePlaces implements AsyncDisposable {
  readonly #tarantool: TestTarantool;
  readonly #minio: TestMinio;
  readonly #hooks: Tarantool;
  readonly #held: AsyncDisposableStack;
  #places = 0;

  private constructor(tarantool: TestTarantool, minio: TestMinio, hooks: Tarantool, held: AsyncDisposableStack) {
    this.#tarantool = tarantool;
    this.#minio = minio;
    this.#hooks = hooks;
    this.#held = held;
  }

  static async start(): Promise<RemotePlaces> {
    const held = new AsyncDisposableStack();
    try {
      // Nothing here survives the process, so nothing needs the disk.
      const env = { MTS_TEST_CLOCK: "1", MTS_TARANTOOL_WAL_MODE: "none" };
      const tarantool = await startTarantool({ env });
      held.defer(() => tarantool.stop());
      const minio = held.use(await startMinio());
      const { host, port, user: username, password } = tarantool.address;
      const options = { lazyConnect: true, retryStrategy: null, enableOfflineQueue: false };
      const hooks = new Tarantool({ host, port, username, password, ...options });
      held.defer(() => hooks.disconnect());
      await hooks.connect();
      return new RemotePlaces(tarantool, minio, hooks, held.move());
    } catch (error) {
      await held.disposeAsync();
      throw error;
    }
  }

  /** An empty one; the one before is over. */
  async make(): Promise<StorePlace> {
    await this.#hooks.call("mts_test_reset");
    const address = {
      ...this.#minio.endpoint,
      bucket: `${bucketPrefix}-${++this.#places}`,
      prefix: "",
      addressing: "path",
    } as const;
    return {
      startMs,
      open: async () => {
        const metadata = await openTarantoolMetadata({ ...this.#tarantool.address, dedupeWindowMs });
        try {
          return { metadata, bodies: await openS3Bodies(address) };
        } catch (error) {
          await metadata.close();
          throw error;
        }
      },
      advance: async (ms) => {
        await this.#hooks.call("mts_test_advance", ms);
      },
      withoutAddresses: "MinIO looks at its own clock",
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#held.disposeAsync();
  }
}
