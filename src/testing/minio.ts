/**
 * A real MinIO server as a subprocess: a free port that it keeps over restarts, a folder of its own, ready when it
 * answers. The binary is built by `scripts/lib/minio.sh`, once.
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guard, release } from "./guardian.ts";
import { installedPath } from "./installed.ts";

/** How to start one. */
export interface TestMinioOptions {
  /** A data folder that the caller owns; without it a fresh one is made and removed by `stop`. */
  readonly dir?: string;
  /** Any free port when left out. */
  readonly port?: number;
  /** Host whose subdomains are buckets, for virtual-host addressing; `MINIO_DOMAIN`. */
  readonly domain?: string;
}

/** What a client needs to know. */
export interface MinioEndpoint {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly region: string;
}

/** Kept of its output, in characters: enough to see why a start failed. */
const outputCharsMax = 16 * 1024;
const startMsMax = 25_000;
const pollMs = 25;
/** A port that was free may be taken before MinIO binds it. */
const startsMax = 3;

let binary: Promise<string> | undefined;

/** Path of MinIO's binary; builds it when there is none yet, which takes minutes. */
export const minioBinary = (): Promise<string> => {
  binary ??= installedPath("minio", "minio");
  return binary;
};

/** A MinIO under test. */
export class TestMinio {
  readonly dir: string;
  readonly #options: TestMinioOptions;
  readonly #binary: string;
  #port: number;
  #child: Bun.Subprocess<"ignore", "pipe", "pipe"> | undefined;
  #output = "";

  constructor(options: TestMinioOptions, dir: string, path: string) {
    this.#options = options;
    this.dir = dir;
    this.#binary = path;
    this.#port = options.port ?? 0;
  }

  get port(): number {
    return this.#port;
  }

  /** Where it is and its keys; the same after a restart. */
  get endpoint(): MinioEndpoint {
    const accessKey = "minioadmin";
    return {
      host: "127.0.0.1",
      port: this.#port,
      tls: false,
      accessKey,
      secretKey: accessKey,
      region: "us-east-1",
    };
  }

  /** Process id; undefined while it does not run. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts it and resolves when it is ready to serve; rejects, with its output, when it ends before. */
  async start(): Promise<void> {
    const isPortOpen = this.#port === 0;
    for (let starts = 1; ; starts++) {
      if (isPortOpen) this.#port = freePort();
      try {
        await this.#startOnce();
        return;
      } catch (thrown) {
        if (!isPortOpen || starts >= startsMax) throw thrown;
      }
    }
  }

  /** Sends a signal and waits for the end of the process. */
  async kill(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined) throw new Error("MinIO is not running");
    child.kill(signal);
    await child.exited;
  }

  /** A new process on the same data and port; the one before is ended by the signal when it still runs. */
  async restart(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (this.#child !== undefined) await this.kill(signal);
    await this.#startOnce();
  }

  /** Ends it, when it runs, and removes the folder that was made for it. */
  async stop(): Promise<void> {
    if (this.#child !== undefined) await this.kill("SIGKILL");
    if (this.#options.dir === undefined) await rm(this.dir, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #startOnce(): Promise<void> {
    this.#output = "";
    const address = `127.0.0.1:${this.#port}`;
    const child = Bun.spawn([this.#binary, "server", "--quiet", "--address", address, this.dir], {
      env: environment(this.endpoint, this.#options.domain),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#child = child;
    guard(child.pid);
    const read = Promise.all([this.#collect(child.stdout), this.#collect(child.stderr)]);
    void child.exited.then(() => {
      release(child.pid);
      if (this.#child === child) this.#child = undefined;
    });
    const deadlineMs = performance.now() + startMsMax;
    while (!(await isReady(address)) && hasNotEnded(child)) {
      if (performance.now() > deadlineMs) child.kill("SIGKILL");
      await Bun.sleep(pollMs);
    }
    // Also when something answered: it may be somebody else's server, on a port that this one could not bind.
    if (hasNotEnded(child)) return;
    await read;
    throw new Error(`MinIO did not become ready:\n${this.#output}`);
  }

  async #collect(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      this.#output = (this.#output + decoder.decode(chunk, { stream: true })).slice(-outputCharsMax);
    }
  }
}

const environment = ({ accessKey, secretKey }: MinioEndpoint, domain: string | undefined): Record<string, string> => {
  const inherited = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !/^(MINIO_|MTS_|https?_proxy$)/i.test(entry[0]),
  );
  return {
    ...Object.fromEntries(inherited),
    MINIO_ROOT_USER: accessKey,
    MINIO_ROOT_PASSWORD: secretKey,
    MINIO_BROWSER: "off",
    MINIO_UPDATE: "off",
    ...(domain === undefined ? {} : { MINIO_DOMAIN: domain }),
  };
};

const hasNotEnded = (child: Bun.Subprocess): boolean => child.exitCode === null && child.signalCode === null;

const isReady = async (address: string): Promise<boolean> => {
  try {
    const signal = AbortSignal.timeout(1000);
    const answer = await fetch(`http://${address}/minio/health/ready`, { signal, keepalive: false });
    return answer.status === 200;
  } catch {
    return false;
  }
};

const freePort = (): number => {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const { port } = listener;
  listener.stop(true);
  return port;
};

/** Starts one; `await using` ends it with the block. Give it a minute: the first run of a machine builds MinIO. */
export const startMinio = async (options: TestMinioOptions = {}): Promise<TestMinio> => {
  const path = await minioBinary();
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), "mts-minio-")));
  const minio = new TestMinio(options, dir, path);
  try {
    await minio.start();
  } catch (error) {
    await minio.stop();
    throw error;
  }
  return minio;
};
