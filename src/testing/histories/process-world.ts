/**
 * A real server that is killed by `kill -9`, at moments by chance and between the steps of its upkeep, over whichever
 * stores its environment names, reached by HTTP as anybody does.
 * @module
 */

import { checkStores } from "../../cli/doctor/check.ts";
import { Report } from "../../cli/doctor/problems.ts";
import { loadConfig } from "../../config.ts";
import type { RetentionPolicy } from "../../core/policy.ts";
import { closeBooks, withStoresOf } from "../books.ts";
import { ClientError, type Received } from "../client.ts";
import type { Fault, FaultPoint } from "../faults/plan.ts";
import { ServerProcess, StartRefusedError } from "../faults/process.ts";
import { SeededRandom } from "../faults/random.ts";
import { consumerPath, HttpClient, subjectPath } from "../http-client.ts";
import { ClusterNode } from "../nodes/cluster.ts";
import { policyPath } from "../policies.ts";
import { viewActor } from "./actor-view.ts";
import { seenFile, seenName } from "./seen.ts";
import type {
  Inspection,
  World,
  WorldActors,
  WorldConsumer,
  WorldDraft,
  WorldMessage,
  WorldOutcome,
  WorldSubject,
} from "./world.ts";

/** What to start. */
export interface ProcessWorldOptions {
  /** Chooses where it dies. */
  readonly seed: number;
  /** Its own, and empty. */
  readonly dataDir: string;
  /** `MTS_METADATA_URL` and the like. */
  readonly env: Readonly<Record<string, string>>;
  readonly crashes: boolean;
  /** Whether an application actor runs. */
  readonly actors: boolean;
  /** The data folder of a second server that runs the actor too, over stores that several share; none when left out. */
  readonly otherDataDir?: string | undefined;
}

/** Where a life may be told beforehand to end. */
const points: readonly FaultPoint[] = [
  ...(["bodies.segment", "bodies.object", "commit.before", "commit.after", "due.after", "ack.before"] as const),
  ...(["ack.after", "purge.before", "purge.after", "expire.after", "sparse.take.after", "move.before"] as const),
  ...(["move.after", "dead.take.after", "bodies.remove.before", "bodies.remove.after"] as const),
  ...(["actor.commit.before", "actor.commit.after"] as const),
];
/** Points of files, which an S3 store does not pass. */
const filePoints: readonly FaultPoint[] = [
  ...(["segment.write.before", "segment.write.half", "segment.sync.before", "segment.sync.after"] as const),
  ...(["object.write.half", "object.sync.before", "object.rename.before", "object.rename.after"] as const),
  ...(["object.folder.after", "object.unlink.after"] as const),
];
const hitsMax = 15;

const settings = {
  ...{ MTS_SWEEP_INTERVAL: "20ms", MTS_SWEEP_GRACE: "50ms", MTS_POINTER_LIFETIME: "3s" },
  ...{ MTS_COMPACT_BELOW: "64KiB", MTS_DEDUPE_WINDOW: "1h" },
} as const;
const ackWaitMs = 100;
/** Dead letters a second. */
const redriveRate = 1000;
const againMs = 20;
const pageMax = 1000;
const retryMax = 1000;
const requestMsMax = 30_000;
/** Longer than a lease of another node and pauses after failures together. */
const settleMsMax = 60_000;
/** Signatures of S3 count in whole seconds. */
const expirySlackMs = 1000;

/** See the module. */
export class ProcessWorld implements World {
  readonly isTimed = false;
  deaths = 0;
  readonly #options: ProcessWorldOptions;
  readonly #random: SeededRandom;
  readonly #env: Readonly<Record<string, string>>;
  readonly actors: WorldActors | undefined;
  /** Node 1 of the actor; node 0 is the server of everything else. */
  readonly #other: ClusterNode | undefined;
  #server: ServerProcess | undefined;
  #starting: Promise<ServerProcess> | undefined;
  /** Requests until the next death. */
  #requestsLeft = Number.POSITIVE_INFINITY;
  #isEnding = false;

  private constructor(options: ProcessWorldOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
    const { actors, otherDataDir } = options;
    this.#env = { ...settings, ...options.env, MTS_ACTORS: actors ? seenFile : "none" };
    this.actors = actors ? this.#worldActors() : undefined;
    this.#other = otherDataDir === undefined ? undefined : new ClusterNode("B", otherDataDir, this.#env, undefined);
  }

  static async start(options: ProcessWorldOptions): Promise<ProcessWorld> {
    const world = new ProcessWorld(options);
    await world.#alive();
    await world.#wakeOther();
    return world;
  }

  nowMs(): number {
    return Date.now();
  }

  advance(): Promise<void> {
    return Promise.reject(new Error("nobody moves the clock of a machine"));
  }

  async addConsumer({ subject, name, deadLetter }: WorldConsumer): Promise<void> {
    const config = { ack: name === "all" ? "all" : "explicit", ack_wait_ms: name === "all" ? undefined : ackWaitMs };
    const letters = deadLetter === undefined ? {} : { max_deliver: 1, dead_letter: deadLetter };
    await this.#json("PUT", consumerPath(subject, name), { ...config, ...letters });
  }

  async publish(drafts: readonly WorldDraft[]): Promise<readonly WorldOutcome[]> {
    if (!drafts.some(({ byPointer, body }) => byPointer === true && body.length > 0)) return this.#publishBatch(drafts);
    const outcomes: WorldOutcome[] = [];
    for (const draft of drafts) {
      const { byPointer = false, body } = draft;
      if (byPointer && body.length > 0) outcomes.push(await this.#publishPointer(draft));
      else outcomes.push(...(await this.#publishBatch([draft])));
    }
    return outcomes;
  }

  async read(subject: string): Promise<WorldSubject> {
    const messages: WorldMessage[] = [];
    for (let from = 1; ; ) {
      const page = await this.#again((http) => http.read(subject, { from, limit: pageMax }));
      messages.push(...page.messages.map(messageOf));
      const { firstSequence, lastSequence, nextSequence } = page;
      if (page.messages.length === 0 || nextSequence > lastSequence) return { firstSequence, lastSequence, messages };
      from = nextSequence;
    }
  }

  follow(subject: string, sequence: number): Promise<Uint8Array | undefined> {
    return this.#again(async (http) => {
      const path = `${subjectPath(subject)}/messages/${sequence}?deliver=pointer`;
      try {
        const response = await http.call("GET", path);
        const { url, headers, content_encoding, expires_at } = (await response.json()) as {
          readonly url: string;
          readonly headers: Record<string, string>;
          readonly content_encoding: string | null;
          readonly expires_at: number;
        };
        const found = await fetch(new URL(url, http.url), { headers, signal: AbortSignal.timeout(requestMsMax) });
        // On a machine with much to do its second is over.
        if (found.status === 403 && Date.now() + expirySlackMs >= expires_at) return undefined;
        if (!found.ok) throw new Error(`the address of ${subject} ${sequence} was answered with ${found.status}`);
        const stored = new Uint8Array(await found.arrayBuffer());
        return content_encoding === "zstd" ? new Uint8Array(Bun.zstdDecompressSync(stored)) : stored;
      } catch (error) {
        if (error instanceof ClientError && error.code === "message_expired") return undefined;
        throw error;
      }
    });
  }

  async fetch(subject: string, consumer: string, limit: number): Promise<readonly WorldMessage[]> {
    const page = await this.#again((http) => http.fetch(subject, consumer, { limit }));
    return page.messages.map(messageOf);
  }

  async ack(subject: string, consumer: string, sequences: readonly number[] | number): Promise<void> {
    const settled = typeof sequences === "number" ? { sequence: sequences } : { sequences };
    await this.#json("POST", `${consumerPath(subject, consumer)}/ack`, settled);
  }

  async nack(subject: string, consumer: string, sequences: readonly number[]): Promise<void> {
    if (sequences.length > 0) await this.#json("POST", `${consumerPath(subject, consumer)}/nack`, { sequences });
  }

  async redrive(subject: string, consumer: string, limit: number): Promise<number> {
    const path = `${consumerPath(subject, consumer)}/redrive`;
    const { redriven } = (await this.#json("POST", path, { limit, rate: redriveRate })) as {
      readonly redriven: number;
    };
    return redriven;
  }

  async purge(subject: string, through: number): Promise<void> {
    await this.#again((http) => http.purge(subject, through));
  }

  async putPolicy(subject: string, policy: RetentionPolicy | null): Promise<void> {
    if (policy === null) {
      await this.#again(async (http) => {
        await http.call("DELETE", policyPath(subject)).catch((error: unknown) => {
          if (!(error instanceof ClientError) || error.code !== "policy_not_found") throw error;
        });
      });
      return;
    }
    const { maxMessages: max_messages, maxBytes: max_bytes, discard, retain, recipients } = policy;
    await this.#json("PUT", policyPath(subject), { max_messages, max_bytes, discard, retain, recipients });
  }

  sweep(): Promise<void> {
    return Promise.resolve();
  }

  async leaveUpload(subject: string, body: Uint8Array | undefined): Promise<void> {
    await this.#again((http) => upload(http, subject, body ?? new Uint8Array(1), body !== undefined));
  }

  crashSoon(steps: number): void {
    this.#requestsLeft = this.#options.crashes ? steps : Number.POSITIVE_INFINITY;
  }

  async restart(): Promise<void> {
    await this.#stop();
    await this.#alive();
  }

  async inspect(): Promise<Inspection> {
    await this.#stopOther();
    await this.#stop();
    const found = await withStoresOf(this.#config(), async (stores) => {
      const { dead, lonely } = await closeBooks(stores);
      const report = new Report(() => undefined);
      await checkStores(stores, { report, youngSinceMs: Date.now() });
      const wrong = [
        ...(dead > 0 ? [`${dead} objects stay noted for their deletion`] : []),
        ...lonely.map((object) => `${object} outlives its grace`),
        ...report.kept.map(
          ({ code, subject, sequence, detail }) => `the doctor: ${code} ${subject ?? ""} ${sequence ?? ""} ${detail}`,
        ),
      ];
      return { wrong, actor: await viewActor(stores.metadata) };
    });
    await this.#alive();
    await this.#wakeOther();
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true;
    await this.#starting?.catch(() => undefined);
    await this.#server?.kill("SIGKILL");
    await this.#other?.close();
  }

  #config() {
    const { dataDir } = this.#options;
    const loaded = loadConfig({ argv: [], env: { ...this.#env, MTS_DATA_DIR: dataDir }, cwd: dataDir });
    if (!("config" in loaded)) throw new Error("the settings of the server are wrong");
    return loaded.config;
  }

  #worldActors(): WorldActors {
    const other = (isOther: boolean, work: (node: ClusterNode) => Promise<unknown>): Promise<void> => {
      const isUp = isOther && this.#other?.isUp === true;
      return isUp ? work(this.#other).then(() => undefined) : Promise.resolve();
    };
    return {
      work: () => Promise.resolve(),
      settle: () => this.#settleActor(),
      rebuild: () => this.#json("POST", `/v1/actors/${seenName}/rebuild`, {}).then(() => undefined),
      dieSoon: (node, steps) => {
        if (node === 0) this.crashSoon(steps);
        return other(node === 1, (process) => process.kill());
      },
      freezeSoon: (node) => other(node === 1, (process) => process.pause()),
      cutSoon: () => Promise.resolve(),
      wake: () => this.#wakeOther(),
      look: () => Promise.resolve(undefined),
    };
  }

  async #settleActor(): Promise<void> {
    const untilMs = performance.now() + settleMsMax;
    for (;;) {
      const shown = await this.#again(async (http) => (await http.call("GET", `/v1/actors/${seenName}`)).text());
      const { lag, rebuilding } = JSON.parse(shown) as { readonly lag: number; readonly rebuilding: boolean };
      if (lag === 0 && !rebuilding) return;
      if (performance.now() > untilMs) throw new Error(`the actor does not come to an end: ${shown}`);
      await Bun.sleep(againMs);
    }
  }

  async #wakeOther(): Promise<void> {
    const other = this.#other;
    if (other === undefined || other.isUp) return;
    if (other.isPaused) other.proceed();
    else await other.start();
  }

  async #stopOther(): Promise<void> {
    await this.#wakeOther();
    await this.#other?.kill("SIGTERM");
  }

  /** The server; another one when the last one died. */
  async #alive(): Promise<ServerProcess> {
    if (this.#server !== undefined) return this.#server;
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  async #start(): Promise<ServerProcess> {
    const { dataDir } = this.#options;
    const prefix = ["env", ...Object.entries(this.#env).map(([name, value]) => `${name}=${value}`)];
    for (;;) {
      try {
        const server = await ServerProcess.start({ dataDir, prefix, faults: this.#faults() });
        this.#server = server;
        void server.exited.then(() => {
          if (this.#server !== server) return;
          this.#server = undefined;
          this.deaths++;
        });
        return server;
      } catch (error) {
        if (this.#isEnding || !(error instanceof StartRefusedError) || error.exit.signal !== "SIGKILL") throw error;
        // It was told to die before it was ready.
        this.deaths++;
      }
    }
  }

  /** Half of all lives are told beforehand where to end. */
  #faults(): readonly Fault[] {
    if (!this.#options.crashes || this.#random.integer(0, 1) === 0) return [];
    const isS3 = this.#options.env["MTS_BODIES_URL"]?.startsWith("s3:") === true;
    const all = isS3 ? points : [...points, ...filePoints];
    const point = all[this.#random.integer(0, all.length - 1)];
    return point === undefined ? [] : [{ point, hit: this.#random.integer(1, hitsMax), act: "kill" }];
  }

  async #stop(): Promise<void> {
    for (;;) {
      const server = await this.#alive();
      this.#server = undefined;
      const exit = await server.kill("SIGTERM");
      if (exit.code === 0) return;
      // A death that it was told of beforehand, on its last steps.
      if (exit.signal !== "SIGKILL") throw new Error(`the server ended with ${exit.code}:\n${server.stderr}`);
      this.deaths++;
    }
  }

  /** Until a life has answered it. */
  async #again<T>(work: (http: HttpClient) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const server = await this.#alive();
      if (--this.#requestsLeft <= 0) {
        this.#requestsLeft = Number.POSITIVE_INFINITY;
        // Whatever the request is doing by then.
        setTimeout(() => server.signal("SIGKILL"), this.#random.integer(0, 8));
      }
      try {
        return await work(new HttpClient(server.url));
      } catch (error) {
        const isPassing = !(error instanceof ClientError) || error.retryable;
        const isHere = this.#server === server && !isConnectionError(error);
        if (!isPassing || (isHere && !(error instanceof ClientError)) || attempt === retryMax) {
          throw new Error(`${error instanceof Error ? error.message : String(error)}\n${server.stderr}`, {
            cause: error,
          });
        }
        await Bun.sleep(againMs);
      }
    }
  }

  #json(method: string, path: string, body: object): Promise<unknown> {
    return this.#again(async (http) => {
      const init = { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
      return (await http.call(method, path, init)).json();
    });
  }

  async #publishBatch(drafts: readonly WorldDraft[]): Promise<readonly WorldOutcome[]> {
    const messages = drafts.map(({ subject, number, body, ttlMs, delayMs }) => ({
      ...{ subject, message_id: String(number), headers: { number: String(number) } },
      data_base64: Buffer.from(body).toString("base64"),
      ...(ttlMs !== undefined && { ttl_ms: ttlMs }),
      ...(delayMs !== undefined && { delay_ms: delayMs }),
    }));
    for (;;) {
      const { results } = (await this.#json("POST", "/v1/messages", { messages })) as { readonly results: Answer[] };
      // Told message by message where the request as a whole was answered.
      if (!results.some(({ error }) => error?.retryable === true && error.code !== "subject_full")) {
        return results.map(outcomeOf);
      }
      await Bun.sleep(againMs);
    }
  }

  async #publishPointer(draft: WorldDraft): Promise<WorldOutcome> {
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#publishUpload(draft);
      if (outcome !== undefined) return outcome;
      if (attempt === retryMax) throw new Error("No upload lived until it was published.");
    }
  }

  /** Undefined when the upload had expired, which on a slow machine it may have: another one is to be opened. */
  #publishUpload({ subject, number, body, ttlMs }: WorldDraft): Promise<WorldOutcome | undefined> {
    return this.#again(async (http) => {
      const pointer = { format: "s3-pointer-v1", ...(await upload(http, subject, body, true)) };
      const headers = {
        ...{ "content-type": "application/vnd.s3-pointer+json", "idempotency-key": String(number) },
        ...{ "x-meta-number": String(number), ...(ttlMs !== undefined && { "message-ttl": `${ttlMs}ms` }) },
      };
      try {
        const init = { headers, body: JSON.stringify(pointer) };
        const response = await http.call("POST", `${subjectPath(subject)}/messages`, init);
        return outcomeOf((await response.json()) as Answer);
      } catch (error) {
        if (error instanceof ClientError && error.code === "subject_full") return { kind: "refused", code: error.code };
        if (error instanceof ClientError && error.code === "upload_not_found") return undefined;
        throw error;
      }
    });
  }
}

/** The answer to one message. */
interface Answer {
  readonly sequence?: number;
  readonly timestamp?: number;
  readonly deliver_at?: number;
  readonly error?: { readonly code: string; readonly retryable: boolean };
}

const outcomeOf = ({ sequence, timestamp, deliver_at, error }: Answer): WorldOutcome => {
  if (error !== undefined) return { kind: "refused", code: error.code };
  if (deliver_at !== undefined) return { kind: "scheduled", dueAtMs: deliver_at };
  return { kind: "committed", sequence: sequence ?? 0, timestampMs: timestamp ?? 0 };
};

const messageOf = ({ sequence, timestampMs, headers, body }: Received): WorldMessage => ({
  ...{ sequence, timestampMs, headers, body },
});

/** Opens an upload, and puts the body there when asked to; answers what a pointer says of it. */
const upload = async (
  http: HttpClient,
  subject: string,
  body: Uint8Array,
  isPut: boolean,
): Promise<{ readonly key: string; readonly length: number; readonly sha256: string }> => {
  const claim = { length: body.length, sha256: new Bun.CryptoHasher("sha256").update(body).digest("hex") };
  const init = { headers: { "content-type": "application/json" }, body: JSON.stringify(claim) };
  const opened = await http.call("POST", `${subjectPath(subject)}/uploads`, init);
  const { key, requests } = (await opened.json()) as {
    readonly key: string;
    readonly requests: readonly {
      readonly url: string;
      readonly headers: Record<string, string>;
      readonly offset: number;
      readonly length: number;
    }[];
  };
  for (const { url, headers, offset, length } of isPut ? requests : []) {
    const part = new Uint8Array(body.subarray(offset, offset + length));
    const response = await fetch(new URL(url, http.url), { method: "PUT", headers, body: part });
    if (!response.ok) throw new Error(`an upload was answered with ${response.status}: ${await response.text()}`);
    await response.arrayBuffer();
  }
  return { key, ...claim };
};

/** The server went away in the middle of it. */
const isConnectionError = (error: unknown): boolean => {
  if (!(error instanceof Error)) return false;
  const code = "code" in error ? String(error.code) : "";
  return /^(?:Connection|E[A-Z]+|FailedToOpen|ERR_)/.test(code) || error.name === "SyntaxError";
};
