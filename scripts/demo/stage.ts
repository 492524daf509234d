/**
 * What the demo plays on: a server with stores of its own, or one that runs already. What was started ends with it.
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { loadConfig } from "../../src/config.ts";
import { closeBooks, withStoresOf } from "../../src/testing/books.ts";
import { runCli } from "../../src/testing/cli.ts";
import { guard, release } from "../../src/testing/guardian.ts";
import { Backends } from "../../src/testing/nodes/cluster.ts";
import type { Place } from "./options.ts";

/** Objects of a body store. */
export interface Objects {
  readonly count: number;
  readonly bytes: number;
}

/** What the doctor says of the stores of a stopped server, as far as it matters here. */
export interface Diagnosis {
  readonly problems: number;
  readonly messages: number;
  readonly orphans: number;
  readonly dead_objects: number;
}

/** See the module. */
export interface Stage extends AsyncDisposable {
  readonly url: string;
  /** A few words for the reader. */
  readonly text: string;
  /** Undefined for a server that is somebody else's. */
  readonly own: OwnStage | undefined;
}

/** The sweeps come soon, and an object goes soon after its last message. */
const settings = { MTS_SWEEP_INTERVAL: "100ms", MTS_SWEEP_GRACE: "500ms" } as const;
/** Longer than the server's own limit for a clean stop. */
const stopMsMax = 15_000;
const main = join(import.meta.dir, "..", "..", "src", "main.ts");

/** Opens what the options name. */
export const openStage = async (place: Place): Promise<Stage> => {
  if (place.kind === "url") {
    const { url } = place;
    return { url, text: `the server at ${url}`, own: undefined, [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  const held = new AsyncDisposableStack();
  try {
    const given = place.kind === "embedded" ? place.dataDir : undefined;
    const dataDir = given === undefined ? await mkdtemp(join(tmpdir(), "mts-demo-")) : resolve(given);
    if (given === undefined) held.defer(() => rm(dataDir, { recursive: true, force: true }));
    const backends = place.kind === "remote" ? held.use(await Backends.start()) : undefined;
    const env = { ...settings, ...backends?.env(), MTS_DATA_DIR: dataDir };
    const own = held.use(await OwnStage.start(env));
    const stores = backends === undefined ? `SQLite and files in ${dataDir}` : "Tarantool and MinIO";
    const text = `a server at ${own.url} over ${stores}`;
    return { url: own.url, text, own, [Symbol.asyncDispose]: () => held.disposeAsync() };
  } catch (error) {
    await held.disposeAsync();
    throw error;
  }
};

type Child = Bun.Subprocess<"ignore", "pipe", "inherit">;

/** The demo's own server and stores. */
export class OwnStage implements AsyncDisposable {
  readonly url: string;
  readonly #child: Child;
  readonly #env: Readonly<Record<string, string>>;

  private constructor(child: Child, url: string, env: Readonly<Record<string, string>>) {
    this.#child = child;
    this.url = url;
    this.#env = env;
  }

  /** Starts the server over stores that are there. */
  static async start(env: Readonly<Record<string, string>>): Promise<OwnStage> {
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("MTS_"));
    const child = Bun.spawn([process.execPath, "--no-env-file", main], {
      env: { ...Object.fromEntries(inherited), MTS_HTTP_PORT: "0", MTS_GRPC_PORT: "0", MTS_LOG: "warn", ...env },
      stdio: ["ignore", "pipe", "inherit"],
      // In a session of its own: Ctrl-C ends the demo, which then ends the server.
      detached: true,
    });
    guard(child.pid);
    void child.exited.then(() => release(child.pid));
    const url = await readyUrl(child.stdout);
    if (url === undefined) throw new Error(`the server ended with ${await child.exited} before it was ready`);
    return new OwnStage(child, url, env);
  }

  /** Ends the server as an operator would. @throws Error unless the end is clean */
  async stopServer(): Promise<void> {
    this.#child.kill("SIGTERM");
    const tooLate = setTimeout(() => this.#child.kill("SIGKILL"), stopMsMax);
    const code = await this.#child.exited;
    clearTimeout(tooLate);
    if (code !== 0) throw new Error(`the server ended with ${this.#child.signalCode ?? code}`);
  }

  /** What lies in the folder, or in the bucket, whoever knows of it. */
  async objects(): Promise<Objects> {
    let [count, bytes] = [0, 0];
    for (const size of await this.#listed()) {
      count++;
      bytes += size;
    }
    return { count, bytes };
  }

  /** Asks the doctor; the server is stopped. @throws Error when it finds a problem */
  async diagnose(): Promise<Diagnosis> {
    const { code, stdout, stderr } = await runCli(["doctor", "--json"], { env: this.#env });
    if (code !== 0) throw new Error(`the doctor ended with ${code}: ${stderr}${stdout}`);
    return JSON.parse(stdout) as Diagnosis;
  }

  /**
   * Closes the books over deleted objects: a server remembers each for a minute or so, because a publish that wrote
   * into it may still be on its way; when it has stopped, none is. Answers how many notes are left.
   */
  async closeBooks(): Promise<number> {
    const { dead } = await withStoresOf(this.#config(), closeBooks);
    return dead;
  }

  /** Ends the server at once when it still runs. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  #config() {
    const loaded = loadConfig({ argv: [], env: { ...this.#env }, cwd: process.cwd() });
    if (!("config" in loaded)) throw new Error("the settings of the demo's server are wrong");
    return loaded.config;
  }

  async #listed(): Promise<readonly number[]> {
    const { bodies } = this.#config();
    if (bodies.kind === "s3") return listBucket(bodies);
    const glob = new Bun.Glob("{s,o,u,tmp}/**/*");
    const sizes: number[] = [];
    for await (const path of glob.scan({ cwd: bodies.path })) sizes.push(Bun.file(join(bodies.path, path)).size);
    return sizes;
  }
}

/** By Bun's own client: what is in the bucket for anybody, not only for the server. */
const listBucket = async (address: {
  readonly host: string;
  readonly port?: number | undefined;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly bucket: string;
  readonly region: string;
}): Promise<readonly number[]> => {
  const { accessKey: accessKeyId, secretKey: secretAccessKey, bucket, region } = address;
  const endpoint = `http://${address.host}:${address.port ?? 80}`;
  const client = new Bun.S3Client({ accessKeyId, secretAccessKey, bucket, region, endpoint });
  const sizes: number[] = [];
  for (let startAfter: string | undefined; ; ) {
    const page = await client.list(startAfter === undefined ? {} : { startAfter });
    const contents = page.contents ?? [];
    sizes.push(...contents.map(({ size }) => size ?? 0));
    startAfter = contents.at(-1)?.key;
    if (page.isTruncated !== true || startAfter === undefined) return sizes;
  }
};

/** The first URL that the server prints; undefined when it ends without one. Goes on reading, so the pipe never fills. */
const readyUrl = (stdout: ReadableStream<Uint8Array>): Promise<string | undefined> =>
  new Promise((resolve, reject) => {
    const read = async (): Promise<void> => {
      const decoder = new TextDecoder();
      let text = "";
      for await (const chunk of stdout) {
        text = (text + decoder.decode(chunk, { stream: true })).slice(-4096);
        const line = /^(https?:\/\/\S+?)\/?\n/m.exec(text)?.[1];
        if (line !== undefined) resolve(line);
      }
      resolve(undefined);
    };
    read().catch(reject);
  });
