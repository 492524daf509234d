/**
 * The metadata cases on Tarantool. One process for all: between two cases it is emptied and its clock set back.
 * @module
 */
import { afterAll, beforeAll } from "bun:test";
import Tarantool from "tarantool-driver";
import { startTarantool, type TestTarantool } from "../../testing/tarantool.ts";
import { metadataCases } from "../cases.ts";
import { openTarantoolMetadata } from "./index.ts";

const dedupeWindowMs = 120_000;
let tarantool: TestTarantool;
let hooks: Tarantool;

beforeAll(async () => {
  // Nothing here survives the process, so nothing needs the disk.
  tarantool = await startTarantool({ env: { MTS_TEST_CLOCK: "1", MTS_TARANTOOL_WAL_MODE: "none" } });
  const { host, port, user, password } = tarantool.address;
  hooks = new Tarantool({
    host,
    port,
    username: user,
    password,
    lazyConnect: true,
    retryStrategy: null,
    enableOfflineQueue: false,
  });
  await hooks.connect();
});

afterAll(async () => {
  hooks.disconnect();
  await tarantool.stop();
});

metadataCases("tarantool", async () => {
  await hooks.call("mts_test_reset");
  const open = () => openTarantoolMetadata({ ...tarantool.address, dedupeWindowMs });
  let store = await open();
  return {
    get store() {
      return store;
    },
    dedupeWindowMs,
    reopen: async () => {
      await store.close();
      store = await open();
    },
    advance: async (ms) => {
      await hooks.call("mts_test_advance", ms);
    },
    close: () => store.close(),
  };
});
