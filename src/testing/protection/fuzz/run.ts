/**
 * A fuzz run: a real server, lanes that send spoilt frames and requests over every way in, and a canary beside them.
 * @module
 */
import { readFileSync } from "node:fs";
import { startTestServer, type TestServer } from "../../server.ts";
import { runCanary } from "./canary.ts";
import { Figures } from "./figures.ts";
import { fuzzGrpc } from "./grpc.ts";
import { Lane } from "./lane.ts";
import { fuzzFrameHeads, fuzzRequestBytes } from "./raw.ts";
import { fuzzRequests } from "./requests.ts";
import { fuzzSocket } from "./sockets.ts";

/** What is sent, and how much. */
export interface FuzzOptions {
  readonly seed: number;
  /** Frames and requests together. */
  readonly frames: number;
  /** Called at the start, at every `progressEvery`, and at the end. */
  readonly progress?: (line: string) => void;
}

/** Resident memory of the server at one moment. */
export interface MemorySample {
  readonly name: string;
  readonly bytes: number;
}

/** What came of it. */
export interface FuzzResult {
  readonly figures: Figures;
  readonly memory: readonly MemorySample[];
}

const progressEvery = 25_000;
/** What the lanes send of every hundred frames, and how many lanes share it. */
const kinds = [
  {
    name: "msgpack",
    percent: 55,
    lanes: 4,
    run: (lane: Lane, index: number) => fuzzSocket(lane, false, index % 2 === 0),
  },
  { name: "json", percent: 25, lanes: 3, run: (lane: Lane, index: number) => fuzzSocket(lane, true, index % 2 === 0) },
  { name: "http", percent: 12, lanes: 4, run: fuzzRequests },
  { name: "grpc", percent: 5, lanes: 8, run: fuzzGrpc },
  { name: "frame heads", percent: 2, lanes: 8, run: fuzzFrameHeads },
  { name: "http bytes", percent: 1, lanes: 8, run: fuzzRequestBytes },
] as const;
/** From here on caches are warm and growth means growth. */
const judgedFramesMin = 200_000;
/** Memory at the end against memory at half: a factor, and room for the noise of a garbage collector. */
const growthFactorMax = 1.2;
const growthBytesMax = 64 * 1024 * 1024;
const MiB = 1024 * 1024;

/** Runs it; a violation is in `figures.failure`. */
export const runFuzz = async (options: FuzzOptions): Promise<FuzzResult> => {
  const figures = new Figures();
  await using server = await startTestServer();
  const memory = new MemoryWatch(server, options, figures);
  let over = false;
  const canary = runCanary(server, figures, () => over);
  await Promise.all(lanesOf(options, server, figures, memory).map((run) => run()));
  over = true;
  await canary;
  memory.sample("end");
  memory.judge();
  await checkAftermath(server, figures);
  return { figures, memory: memory.samples };
};

const lanesOf = (options: FuzzOptions, server: TestServer, figures: Figures, memory: MemoryWatch) =>
  kinds.flatMap(({ name, percent, lanes, run }, kind) => {
    let left = Math.ceil((options.frames * percent) / 100);
    const next = (): boolean => {
      memory.look();
      return figures.failure === undefined && left-- > 0;
    };
    return Array.from({ length: lanes }, (_, index) => {
      const lane = new Lane(`${name} ${index}`, options.seed + kind * 1000 + index, server, figures, next);
      return () => run(lane, index);
    });
  });

/** What must be true when all clients have gone: nothing was logged as a fault, no socket is left. */
const checkAftermath = async (server: TestServer, figures: Figures): Promise<void> => {
  const faults = server.stderr.split("\n").filter((line) => /"level":"(error|fatal)"/.test(line));
  if (faults.length > 0) figures.fail(`the server logged ${faults.length} errors, the first: ${faults[0] ?? ""}`);
  if (figures.failure !== undefined) return;
  const socketsLeft = async (): Promise<number> => {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    return Number(/^mts_websocket_connections (\d+)$/m.exec(text)?.[1]);
  };
  // A close is seen by the server a moment after the client.
  for (let looks = 100; looks > 0; looks--) {
    if ((await socketsLeft()) === 0) return;
    await Bun.sleep(100);
  }
  figures.fail(`${await socketsLeft()} sockets are left behind`);
};

/** Looks at the server's memory at the quarters of the run. */
class MemoryWatch {
  readonly samples: MemorySample[] = [];
  readonly #marks: { readonly name: string; readonly at: number }[];
  #nextProgress = 0;

  constructor(
    private readonly server: TestServer,
    private readonly options: FuzzOptions,
    private readonly figures: Figures,
  ) {
    const { frames } = options;
    this.#marks = [
      { name: "start", at: 0 },
      { name: "quarter", at: frames / 4 },
      { name: "half", at: frames / 2 },
      { name: "three quarters", at: (frames * 3) / 4 },
    ];
  }

  look(): void {
    const { sent, canaryRounds } = this.figures;
    const mark = this.#marks[0];
    if (mark !== undefined && sent >= mark.at) {
      this.#marks.shift();
      this.sample(mark.name);
    }
    if (sent < this.#nextProgress) return;
    this.#nextProgress += progressEvery;
    const resident = Math.round(residentBytes(this.server.pid) / MiB);
    this.options.progress?.(`${sent} of ${this.options.frames} frames, canary ${canaryRounds} rounds, ${resident} MiB`);
  }

  sample(name: string): void {
    try {
      this.samples.push({ name, bytes: residentBytes(this.server.pid) });
    } catch (error) {
      this.figures.fail(`the server is gone: ${String(error)}\n${this.server.stderr}`);
    }
  }

  judge(): void {
    if (this.options.frames < judgedFramesMin) return;
    const half = this.samples.find(({ name }) => name === "half")?.bytes;
    const end = this.samples.at(-1)?.bytes;
    if (half === undefined || end === undefined || end <= half * growthFactorMax + growthBytesMax) return;
    this.figures.fail(`memory grew from ${Math.round(half / MiB)} MiB at half to ${Math.round(end / MiB)} MiB`);
  }
}

/** @throws Error when there is no such process */
const residentBytes = (pid: number): number => {
  const kib = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
  if (kib === undefined) throw new Error(`process ${pid} has no memory`);
  return Number(kib) * 1024;
};
