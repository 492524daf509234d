/**
 * Clusters, and single servers over remote stores, for the length of a test file or a `describe` block.
 * @module
 */
import { afterAll, beforeAll } from "bun:test";
import { startTestServer, type TestServer } from "../server.ts";
import { Backends, type Cluster, type ClusterOptions, startCluster } from "./cluster.ts";

/** Tarantool, MinIO and the servers over them. */
const startMsMax = 60_000;

/** A value that lives from before the first test to after the last. */
const useStarted = <T extends AsyncDisposable>(start: () => Promise<T>): (() => T) => {
  let started: T | undefined;
  beforeAll(async () => {
    started = await start();
  }, startMsMax);
  afterAll(async () => {
    await started?.[Symbol.asyncDispose]();
  }, startMsMax);
  return () => {
    if (started === undefined) throw new Error("it is started before the first test, not earlier");
    return started;
  };
};

/** One cluster. */
export const useCluster = (options: ClusterOptions = {}): (() => Cluster) => useStarted(() => startCluster(options));

/** The two stores without servers. */
export const useBackends = (): (() => Backends) => useStarted(() => Backends.start());

/** A server over the stores whose variables are given, as the shared cases want it. */
export const useServerOver = (env: () => Readonly<Record<string, string>>): (() => TestServer) =>
  useStarted(() => startTestServer({ env: env() }));
