/**
 * What the tests of the S3 body store share: one MinIO for a file, stores that are closed after each test, a proxy
 * between the two.
 * @module
 */
import { afterAll, afterEach, beforeAll } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { BodyStore } from "../bodies/contract.ts";
import { openS3Bodies, type S3BodiesOptions } from "../bodies/s3/index.ts";
import { StreamError } from "../core/errors.ts";
import { type MinioEndpoint, startMinio, type TestMinio } from "./minio.ts";
import { type S3Proxy, type SeenRequest, startS3Proxy } from "./s3-proxy.ts";
import { startTcpProxy, type TcpProxy } from "./tcp-proxy.ts";

/** `MINIO_DOMAIN` of the server: buckets are also names under this one. */
export const virtualDomain = "s3.example.test";
/** The smallest part that S3 takes. */
export const smallestPartBytes = 5 * 1024 * 1024;
/** The first run on a machine builds MinIO. */
const buildMsMax = 15 * 60_000;

let prefixes = 0;

/** A store of its own in the bucket that all tests share. */
export const s3Options = (endpoint: MinioEndpoint, more: Partial<S3BodiesOptions> = {}): S3BodiesOptions => ({
  ...endpoint,
  bucket: "bodies",
  addressing: "path",
  prefix: `t${prefixes++}/`,
  ...more,
});

/** The code of what was thrown. */
export const codeOf = (thrown: unknown): string =>
  thrown instanceof StreamError ? thrown.code : `not ours: ${String(thrown)}`;

/** Every opening looks for old uploads and does not wait for it; tests that count requests leave that out. */
const isNoLookForUploads = ({ target }: SeenRequest): boolean => !target.includes("?uploads&");

/** What the store asked through the proxy. */
export const asked = (proxy: S3Proxy): readonly SeenRequest[] => proxy.seen.filter(isNoLookForUploads);
export const isPut = ({ method }: SeenRequest): boolean => method === "PUT";
export const isGet = (request: SeenRequest): boolean => request.method === "GET" && isNoLookForUploads(request);
export const isPart = ({ target }: SeenRequest): boolean => target.includes("partNumber=");

/** Names of all objects. */
export const listed = async (store: BodyStore): Promise<readonly string[]> =>
  (await Array.fromAsync(store.list())).flat().map(({ object }) => object);

/** See `useS3`. */
export interface S3UnderTest {
  readonly minio: TestMinio;
  /** A store that is closed after the test. */
  open(options: S3BodiesOptions): Promise<BodyStore>;
  /** A store behind an HTTP proxy that has forgotten what it saw of the opening. */
  behindProxy(more?: Partial<S3BodiesOptions>): Promise<{ readonly store: BodyStore; readonly proxy: S3Proxy }>;
  /** A store behind a TCP proxy. */
  behindWire(more?: Partial<S3BodiesOptions>): Promise<{ readonly store: BodyStore; readonly proxy: TcpProxy }>;
  /** Files of incomplete uploads. MinIO lists one only to who knows its key, so this looks where it keeps them. */
  incompleteUploads(): Promise<readonly string[]>;
}

/** One MinIO for a test file. */
export const useS3 = (): S3UnderTest => {
  let started: TestMinio | undefined;
  const closing: (() => Promise<void>)[] = [];
  const running = (): TestMinio => {
    if (started === undefined) throw new Error("MinIO is started before the first test, not earlier");
    return started;
  };
  beforeAll(async () => {
    started = await startMinio({ domain: virtualDomain });
  }, buildMsMax);
  afterAll(() => started?.stop());
  afterEach(async () => {
    // A store before the proxy it speaks through.
    for (const close of closing.splice(0).toReversed()) await close();
  });

  const target = (): { host: string; port: number } => ({ host: "127.0.0.1", port: running().port });
  const open = async (options: S3BodiesOptions): Promise<BodyStore> => {
    const store = await openS3Bodies(options);
    closing.push(() => store.close());
    return store;
  };
  const through = (proxy: S3Proxy | TcpProxy, more: Partial<S3BodiesOptions> | undefined): Promise<BodyStore> => {
    closing.push(() => proxy.stop());
    return open(s3Options({ ...running().endpoint, port: proxy.port }, more));
  };

  return {
    get minio() {
      return running();
    },
    open,
    behindProxy: async (more) => {
      const proxy = await startS3Proxy(target());
      const store = await through(proxy, more);
      proxy.clear();
      return { store, proxy };
    },
    behindWire: async (more) => {
      const proxy = await startTcpProxy(target());
      return { store: await through(proxy, more), proxy };
    },
    incompleteUploads: async () => {
      const folder = join(running().dir, ".minio.sys", "multipart");
      if (!existsSync(folder)) return [];
      return Array.fromAsync(new Bun.Glob("**/xl.meta").scan({ cwd: folder, dot: true }));
    },
  };
};
