/**
 * The options of a load test: what there is, how it is read, what fits together.
 * @module
 */
import { parseSize } from "../../src/core/duration.ts";
import {
  OptionReader,
  type OptionSpecs,
  optionLines,
  type ParsedOptions,
  parseCommandLine,
} from "../command/options.ts";
import { headerBytes } from "./bodies.ts";
import type { PublishProtocol } from "./plan.ts";

/** Which server is measured. */
export type Target =
  | { readonly kind: "url"; readonly url: string }
  | { readonly kind: "start"; readonly dataDir: string | undefined; readonly profileDir: string | undefined }
  | { readonly kind: "control" };

/** Everything a run needs to know. */
export interface Options {
  readonly target: Target;
  readonly mode: "publish" | "replay";
  /** Replay what matches this instead of publishing first. */
  readonly filter: string | undefined;
  readonly durationMs: number;
  /** Messages to publish; then `durationMs` does not count. */
  readonly count: number | undefined;
  readonly warmupMs: number;
  readonly publishers: number;
  readonly subscribers: number;
  readonly subjects: number;
  readonly subjectPrefix: string | undefined;
  readonly bodyBytesMin: number;
  readonly bodyBytesMax: number;
  readonly protocol: PublishProtocol;
  readonly batch: number;
  readonly window: number;
  readonly ratePerSecond: number | undefined;
  readonly processes: number;
  readonly seed: number;
  readonly json: boolean;
}

const specs = {
  url: { value: "URL", meaning: "the running server to measure, such as http://127.0.0.1:8000" },
  start: { meaning: "start a server on a temporary data folder (the default without --url)" },
  control: { meaning: "start a server that only answers and stores nothing: what the generator itself can do" },
  "data-dir": { value: "DIR", meaning: "where the temporary data folder is made (default: the system's own place)" },
  "server-profile": { value: "DIR", meaning: "start the server with a CPU profile that is written there at its end" },
  duration: { value: "TIME", meaning: "how long to publish (default 10s)" },
  count: { value: "N", meaning: "publish N messages instead" },
  warmup: { value: "TIME", meaning: "publish this long before measuring (default 2s, 0s with --replay)" },
  publishers: { value: "N", meaning: "publishers (default 1)" },
  subscribers: { value: "N", meaning: "subscribers over WebSocket; each gets every message (default 1)" },
  subjects: { value: "N", meaning: "subjects; every publisher goes round all of them (default 1)" },
  "subject-prefix": {
    value: "S",
    meaning: "subjects are S.0, S.1 … (default: load-test. and a name of the run's own)",
  },
  size: { value: "BYTES", meaning: "size of a body, such as 1KB, or a range such as 100B-64KB (default 1KB)" },
  protocol: { value: "ws|http", meaning: "how publishers send (default ws)" },
  batch: { value: "N", meaning: "messages in a frame or request (default 1, 100 with --replay)" },
  window: {
    value: "N",
    meaning: "ws: messages under way per publisher (default 1000); http: connections per publisher (default 64)",
  },
  rate: {
    value: "N/s",
    meaning:
      "publish so many messages a second in all; latency then counts from the moment a message was meant to leave",
  },
  processes: { value: "N", meaning: "processes that the publishers are spread over (default 1: this one)" },
  replay: { meaning: "publish first (--count, default 100000), then measure reading it all from the first message" },
  filter: { value: "FILTER", meaning: "with --replay: read what is there instead of publishing" },
  seed: { value: "N", meaning: "for sizes and contents of bodies (default 1)" },
  json: { meaning: "print one JSON object on standard output instead of the summary" },
  help: { meaning: "this text" },
} as const satisfies OptionSpecs<string>;

type Name = keyof typeof specs;

/** The help text. */
export const helpText = (): string => `Usage: bun scripts/load-test.ts [options]

Publishes to a server, subscribes to what it publishes, checks every message, and prints throughput and latency.
Without --url a server is started on a temporary data folder and ended afterwards, so that no server in use is
filled by accident; it gets the environment (MTS_METADATA_URL, MTS_BODIES_URL …).

${optionLines(specs)}
Exit code: 0 all well; 1 a message was lost, repeated, reordered or damaged, or the run broke off; 2 wrong options.
`;

/** Largest values: what one machine can open, and what the server takes. */
const limits = {
  publishersMax: 10_000,
  subscribersMax: 10_000,
  subjectsMax: 100_000,
  batchMax: 10_000,
  windowMax: 100_000,
  lanesMax: 20_000,
  processesMax: 64,
  bodyBytesMax: 64 * 1024 * 1024,
  /** Messages have numbers of 32 bits in each lane. */
  countMax: 2 ** 32 - 1,
  rateMax: 10_000_000,
  /** Counters that the checks of all subscribers may have together: 4 bytes each. */
  checkCountersMax: 100_000_000,
} as const;

class Reader extends OptionReader<Name> {
  sizes(): readonly [min: number, max: number] {
    const text = this.text("size") ?? "1KB";
    const [low, high = low, ...rest] = text.split("-").map(parseSize);
    const fits = low !== undefined && high !== undefined && rest.length === 0 && low <= high;
    if (fits && low >= headerBytes && high <= limits.bodyBytesMax) return [low, high];
    this.wrong(
      `--size must be a size such as 1KB, or a range such as 100B-64KB, from ${headerBytes}B (the header that makes ` +
        "a body checkable) to 64MiB",
    );
    return [headerBytes, headerBytes];
  }

  rate(): number | undefined {
    const text = this.text("rate");
    if (text === undefined) return undefined;
    const rate = Number(/^(\d{1,9}(?:\.\d+)?)(?:\/s)?$/.exec(text)?.[1]);
    if (rate > 0 && rate <= limits.rateMax) return rate;
    this.wrong(`--rate must be messages a second such as 5000/s, at most ${limits.rateMax}/s`);
    return undefined;
  }

  protocol(): PublishProtocol {
    const text = this.text("protocol") ?? "ws";
    if (text === "ws" || text === "http") return text;
    this.wrong("--protocol must be ws or http");
    return "ws";
  }

  target(): Target {
    const url = this.text("url");
    const ways = [url !== undefined && "--url", this.on("start") && "--start", this.on("control") && "--control"];
    const given = ways.filter((way) => way !== false);
    if (given.length > 1) this.wrong(`${given.join(" and ")} exclude each other`);
    const dataDir = this.text("data-dir");
    const profileDir = this.text("server-profile");
    if (url === undefined) {
      return this.on("control") ? { kind: "control" } : { kind: "start", dataDir, profileDir };
    }
    if (dataDir !== undefined) this.wrong("--data-dir is for a server that is started, not for --url");
    if (profileDir !== undefined) this.wrong("--server-profile is for a server that is started, not for --url");
    return { kind: "url", url: this.serverUrl("url", "") };
  }
}

/** Reads the arguments; all that is wrong is said at once. */
export const parseOptions = (argv: readonly string[]): ParsedOptions<Options> =>
  parseCommandLine(argv, { specs, help: helpText }, (values) => {
    const reader = new Reader(specs, values);
    const options = readOptions(reader);
    checkTogether(options, reader);
    return { options, errors: reader.errors };
  });

const replayCountDefault = 100_000;

const readOptions = (reader: Reader): Options => {
  const replay = reader.on("replay");
  const protocol = reader.protocol();
  const [bodyBytesMin, bodyBytesMax] = reader.sizes();
  return {
    target: reader.target(),
    mode: replay ? "replay" : "publish",
    filter: reader.text("filter"),
    durationMs: reader.durationMs("duration", 10_000),
    count: reader.integer(
      "count",
      1,
      limits.countMax,
      replay && reader.text("duration") === undefined ? replayCountDefault : undefined,
    ),
    warmupMs: reader.durationMs("warmup", replay ? 0 : 2000),
    publishers: reader.integer("publishers", 1, limits.publishersMax, 1),
    subscribers: reader.integer("subscribers", replay ? 1 : 0, limits.subscribersMax, 1),
    subjects: reader.integer("subjects", 1, limits.subjectsMax, 1),
    subjectPrefix: reader.text("subject-prefix"),
    bodyBytesMin,
    bodyBytesMax,
    protocol,
    batch: reader.integer("batch", 1, limits.batchMax, replay ? 100 : 1),
    window: reader.integer("window", 1, limits.windowMax, protocol === "ws" ? 1000 : 64),
    ratePerSecond: reader.rate(),
    processes: reader.integer("processes", 1, limits.processesMax, 1),
    seed: reader.integer("seed", 0, 2 ** 32 - 1, 1),
    json: reader.on("json"),
  };
};

/** What each option allows by itself, but not beside another. */
const checkTogether = (options: Options, reader: Reader): void => {
  const { mode, filter, protocol, batch, window, publishers, processes, subjects, subscribers } = options;
  if (reader.text("count") !== undefined && reader.text("duration") !== undefined) {
    reader.wrong("--count and --duration exclude each other");
  }
  if (filter !== undefined && mode !== "replay") reader.wrong("--filter is for --replay");
  if (filter !== undefined && options.target.kind !== "url") {
    reader.wrong("--filter reads what is there, so it needs --url");
  }
  if (protocol === "ws" && batch > window) reader.wrong("--batch must not be larger than --window");
  const lanes = publishers * (protocol === "http" ? window : 1);
  if (lanes > limits.lanesMax) {
    reader.wrong(`--publishers times --window is ${lanes} connections; at most ${limits.lanesMax} over http`);
  }
  if (processes > lanes) reader.wrong("--processes must not be more than --publishers");
  if (lanes * subjects * Math.max(subscribers, 1) > limits.checkCountersMax) {
    reader.wrong("publishers times subjects times subscribers are too many to be checked; use fewer of one of them");
  }
};
