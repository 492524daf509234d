/**
 * Several servers over one Tarantool and one bucket, each a process of its own that can be killed, stopped and started
 * again by itself. Everything listens on free ports, keeps its data in temporary folders, and dies with this process.
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Fault } from "../faults/plan.ts";
import { type Exit, ServerProcess } from "../faults/process.ts";
import { startMinio, type TestMinio } from "../minio.ts";
import { type S3Proxy, startS3Proxy } from "../s3-proxy.ts";
import { startTarantool, type TestTarantool } from "../tarantool.ts";
import { startTcpProxy, type TcpProxy } from "../tcp-proxy.ts";
import { pause, proceed } from "./signals.ts";

/** What to start. */
export interface ClusterOptions {
  /** Servers; 2 when left out. */
  readonly nodes?: number;
  /** Puts proxies between every node and its stores, so that their connections can be disturbed. */
  readonly proxies?: boolean;
  /** Environment of every node beside the places of the stores. */
  readonly env?: Readonly<Record<string, string>>;
  /** Tarantool's memory, such as `1GiB`; enough for a test when left out. */
  readonly memory?: string;
}

/** The proxies of one node: it talks to nothing but these. */
export interface NodeProxies {
  /** In front of Tarantool. */
  readonly metadata: TcpProxy;
  /** In front of `s3`: cut, silent, slow, refused. */
  readonly bodies: TcpProxy;
  /** In front of MinIO: faults of single requests. */
  readonly s3: S3Proxy;
}

/** Ports of the stores as a server is told of them. */
interface StorePorts {
  readonly metadata: number;
  readonly bodies: number;
}

const bucket = "minitoolstream";
/** Retries after any of the outages here must still find their message ids. */
const dedupeWindow = "30m";

/** One server of a cluster; it keeps its data folder over restarts and gets another port each time. */
export class ClusterNode {
  /** `A`, `B` … */
  readonly name: string;
  readonly dataDir: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #proxies: NodeProxies | undefined;
  #process: ServerProcess | undefined;
  #isPaused = false;
  #downs = 0;

  constructor(name: string, dataDir: string, env: Readonly<Record<string, string>>, proxies: NodeProxies | undefined) {
    this.name = name;
    this.dataDir = dataDir;
    this.#env = env;
    this.#proxies = proxies;
  }

  /** `http://127.0.0.1:PORT`. */
  get url(): string {
    return this.process.url;
  }

  /** `ws://127.0.0.1:PORT/v1/ws`. */
  get wsUrl(): string {
    return this.process.wsUrl;
  }

  /** @throws Error when it does not run */
  get process(): ServerProcess {
    if (this.#process === undefined) throw new Error(`node ${this.name} is not running`);
    return this.#process;
  }

  /** @throws Error when the cluster was started without */
  get proxies(): NodeProxies {
    if (this.#proxies === undefined) throw new Error("the cluster was started without proxies");
    return this.#proxies;
  }

  /** Whether it can answer: started, and not stopped by a signal. */
  get isUp(): boolean {
    return this.#process !== undefined && !this.#isPaused;
  }

  /** Whether it stands still by a signal. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** How often it went down or was stopped; tells whether it answered all the while. */
  get downs(): number {
    return this.#downs;
  }

  /** Starts it and waits until it is ready. @throws StartRefusedError */
  async start(faults: readonly Fault[] = []): Promise<void> {
    if (this.#process !== undefined) throw new Error(`node ${this.name} is running`);
    // `env` replaces itself by the server, so that signals reach the server.
    const prefix = ["env", ...Object.entries(this.#env).map(([name, value]) => `${name}=${value}`)];
    const started = await ServerProcess.start({ dataDir: this.dataDir, faults, prefix });
    this.#process = started;
    void started.exited.then(() => {
      if (this.#process !== started) return;
      this.#process = undefined;
      this.#isPaused = false;
      this.#downs++;
    });
  }

  /** Sends a signal that ends it and waits for the end. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<Exit> {
    const { process } = this;
    const exit = await process.kill(signal);
    if (this.#process === process) this.#process = undefined;
    this.#isPaused = false;
    return exit;
  }

  /** Ends it and starts it again. */
  async restart(faults: readonly Fault[] = [], signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    if (this.#process !== undefined) await this.kill(signal);
    await this.start(faults);
  }

  /** SIGSTOP; resolves when it stands still. */
  async pause(): Promise<void> {
    this.#isPaused = true;
    this.#downs++;
    await pause(this.process.pid);
  }

  /** SIGCONT. */
  proceed(): void {
    proceed(this.process.pid);
    this.#isPaused = false;
  }

  /** Ends it in whatever state it is and removes its folder. */
  async close(): Promise<void> {
    if (this.#process !== undefined) await this.kill();
    await rm(this.dataDir, { recursive: true, force: true });
  }
}

/** The two stores, without servers. */
export class Backends implements AsyncDisposable {
  constructor(
    readonly tarantool: TestTarantool,
    readonly minio: TestMinio,
  ) {}

  /** Starts both at once. */
  static async start(memory?: string): Promise<Backends> {
    const env = memory === undefined ? {} : { MTS_TARANTOOL_MEMORY: memory };
    const [tarantool, minio] = await Promise.allSettled([startTarantool({ env }), startMinio()]);
    if (tarantool.status === "fulfilled" && minio.status === "fulfilled") {
      return new Backends(tarantool.value, minio.value);
    }
    if (tarantool.status === "fulfilled") await tarantool.value.stop();
    if (minio.status === "fulfilled") await minio.value.stop();
    throw tarantool.status === "rejected" ? tarantool.reason : minio.status === "rejected" ? minio.reason : undefined;
  }

  /** `MTS_METADATA_URL`; through a proxy when its port is given. */
  metadataUrl(port = this.tarantool.port): string {
    const url = new URL(this.tarantool.url);
    url.port = String(port);
    return url.href;
  }

  /** `MTS_BODIES_URL`; through a proxy when its port is given. */
  bodiesUrl(port = this.minio.port): string {
    const { accessKey, secretKey, region } = this.minio.endpoint;
    return `s3://${accessKey}:${secretKey}@127.0.0.1:${port}/${bucket}?tls=false&region=${region}`;
  }

  /** Both, as the environment of a server. */
  env(ports?: StorePorts): Record<string, string> {
    return { MTS_METADATA_URL: this.metadataUrl(ports?.metadata), MTS_BODIES_URL: this.bodiesUrl(ports?.bodies) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.tarantool.stop(), this.minio.stop()]);
  }
}

/** Stores and servers; `await using` ends all of it with the block. */
export class Cluster implements AsyncDisposable {
  readonly backends: Backends;
  readonly nodes: readonly ClusterNode[];
  readonly #held: AsyncDisposableStack;

  private constructor(backends: Backends, nodes: readonly ClusterNode[], held: AsyncDisposableStack) {
    this.backends = backends;
    this.nodes = nodes;
    this.#held = held;
  }

  /** Starts everything; what was started is ended when something is not. */
  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const { nodes: count = 2, proxies = false, env = {}, memory } = options;
    const held = new AsyncDisposableStack();
    try {
      const backends = held.use(await Backends.start(memory));
      const nodes = await Promise.all(
        Array.from({ length: count }, async (_, index) => {
          const nodeProxies = proxies ? await startProxies(backends, held) : undefined;
          const ports = nodeProxies && { metadata: nodeProxies.metadata.port, bodies: nodeProxies.bodies.port };
          const dataDir = await mkdtemp(join(tmpdir(), "mts-node-"));
          const nodeEnv = { MTS_DEDUPE_WINDOW: dedupeWindow, ...env, ...backends.env(ports) };
          const node = new ClusterNode(String.fromCharCode(65 + index), dataDir, nodeEnv, nodeProxies);
          held.defer(() => node.close());
          return node;
        }),
      );
      const cluster = new Cluster(backends, nodes, held);
      // All at once, as after a power cut: the first start makes the schema and the bucket.
      await Promise.all(nodes.map((node) => node.start()));
      return cluster;
    } catch (error) {
      await held.disposeAsync();
      throw error;
    }
  }

  get tarantool(): TestTarantool {
    return this.backends.tarantool;
  }

  get minio(): TestMinio {
    return this.backends.minio;
  }

  /** The node of this number, from 0. */
  node(index: number): ClusterNode {
    const node = this.nodes[index];
    if (node === undefined) throw new Error(`there is no node ${index}`);
    return node;
  }

  get a(): ClusterNode {
    return this.node(0);
  }

  get b(): ClusterNode {
    return this.node(1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#held.disposeAsync();
  }
}

const startProxies = async (backends: Backends, held: AsyncDisposableStack): Promise<NodeProxies> => {
  const host = "127.0.0.1";
  const metadata = held.use(await startTcpProxy({ host, port: backends.tarantool.port }));
  const s3 = held.use(await startS3Proxy({ host, port: backends.minio.port }));
  const bodies = held.use(await startTcpProxy({ host, port: s3.port }));
  return { metadata, bodies, s3 };
};

/** Starts a cluster. */
export const startCluster = (options: ClusterOptions = {}): Promise<Cluster> => Cluster.start(options);
