/**
 * The options of the event generator: what there is, how it is read, what fits together.
 * @module
 */
import { parseAge } from "../../src/core/duration.ts";
import { type EventType, eventTypes } from "../../src/core/event.ts";
import {
  type Environment,
  OptionReader,
  type OptionSpecs,
  optionLines,
  type ParsedOptions,
  parseCommandLine,
} from "../command/options.ts";

/** How events are sent. */
export const transports = ["rest", "grpc", "ws"] as const;
export type Transport = (typeof transports)[number];

/** Everything a run needs to know. */
export interface Options {
  /** Without a slash at its end. */
  readonly url: string;
  /** Where gRPC listens. */
  readonly grpc: { readonly target: string; readonly isEncrypted: boolean };
  readonly token: string | undefined;
  readonly transport: Transport;
  /** Events in a request. */
  readonly batch: number;
  /** Requests under way. */
  readonly window: number;
  /** `undefined` is as fast as the server takes them. */
  readonly ratePerSecond: number | undefined;
  /** 0 is without end. Does not count when there is `count`. */
  readonly durationMs: number;
  /** Sends, repetitions among them. */
  readonly count: number | undefined;
  readonly users: number;
  /** Weights. */
  readonly mix: Readonly<Record<EventType, number>>;
  /** Share of the events that happened so long ago, 0 to 1. */
  readonly late: { readonly share: number; readonly byMs: number };
  /** What the server calls late. */
  readonly latenessMs: number;
  /** Share of the sends that repeat an earlier event, 0 to 1. */
  readonly repeatShare: number;
  readonly seed: number;
  readonly verify: boolean;
  readonly json: boolean;
}

const specs = {
  url: { value: "URL", meaning: "the server (default http://127.0.0.1:8000)" },
  grpc: { value: "HOST:PORT", meaning: "its gRPC port (default: 50051 of the same host; grpcs://HOST:PORT under TLS)" },
  token: { value: "TOKEN", meaning: "where tokens are asked for (default: the environment variable MTS_TOKEN)" },
  transport: { value: transports.join("|"), meaning: "how events are sent (default rest)" },
  rate: { value: "N/s", meaning: "events a second (default 100/s), or max: as many as the server takes" },
  duration: { value: "TIME", meaning: "how long (default 10s; 0s: until Ctrl-C)" },
  count: { value: "N", meaning: "so many events instead, repetitions among them" },
  users: { value: "N", meaning: "users that they are of (default 1000)" },
  mix: { value: "TYPE=N,…", meaning: "weights of the types (default purchase=70,return=10,refund=20)" },
  late: { value: "SHARE[:TIME]", meaning: "share that happened TIME ago (default 0:2h), such as 0.05:90m or 5%" },
  repeat: { value: "SHARE", meaning: "share of the sends that repeat an earlier event under its key (default 0)" },
  batch: { value: "N", meaning: "events in a request (default 1); it leaves when the last of them is due" },
  window: { value: "N", meaning: "requests under way at most (default 64)" },
  seed: { value: "N", meaning: "the same seed makes the same events (default 1)" },
  verify: { meaning: "compare what the server counts, minute by minute and to the cent, with what was sent" },
  lateness: { value: "TIME", meaning: "with --verify: what the server calls late, MTS_EVENTS_LATENESS (default 1h)" },
  json: { meaning: "print the result as one JSON object" },
  help: { meaning: "this text" },
} as const satisfies OptionSpecs<string>;

type Name = keyof typeof specs;

const limits = {
  rateMax: 1_000_000,
  countMax: 1_000_000_000,
  usersMax: 100_000_000,
  /** What one request of the server takes. */
  batchMax: 10_000,
  windowMax: 10_000,
  /** Events on their way, all requests together. */
  underWayMax: 1_000_000,
  weightMax: 1_000_000,
  lateMsMax: 365 * 24 * 3_600_000,
  /** The server answers metrics of a week. */
  verifiedMsMax: 6 * 24 * 3_600_000,
  /** So near to the limit it is chance on which side of it an event arrives. */
  latenessMarginMs: 60_000,
} as const;

const help = (): string => `Usage: scripts/event-generator [options]

Sends business events to a server: purchases, returns and refunds of many users, at an even rate. Latency counts from
the moment at which an event was meant to leave, so that a server that stops for a while does not look better than it is.
Users, types, amounts, late events and repetitions follow from the seed; times are those of the run, and so are keys,
or else the server would take a second run for a repetition of the first.

${optionLines(specs)}
--verify waits until the metrics actor has counted everything, before and after. Nobody else may send events meanwhile.

Exit code: 0 all well; 1 an event was refused or lost, the metrics differ, or the run broke off; 2 wrong options.
Ctrl-C ends the run with the result of what was sent until then.
`;

/** Reads the arguments; all that is wrong is said at once. */
export const parseOptions = (argv: readonly string[], env: Environment): ParsedOptions<Options> =>
  parseCommandLine(argv, { specs, help }, (values) => {
    const reader = new Reader(specs, values, env);
    const options = readOptions(reader);
    checkTogether(options, reader);
    return { options, errors: reader.errors };
  });

const readOptions = (reader: Reader): Options => {
  const url = reader.serverUrl("url", "http://127.0.0.1:8000");
  return {
    url,
    grpc: reader.grpc(url),
    token: reader.token(),
    transport: reader.transport(),
    batch: reader.integer("batch", 1, limits.batchMax, 1),
    window: reader.integer("window", 1, limits.windowMax, 64),
    ratePerSecond: reader.rate(),
    durationMs: reader.durationMs("duration", 10_000),
    count: reader.integer("count", 1, limits.countMax, undefined),
    users: reader.integer("users", 1, limits.usersMax, 1000),
    mix: reader.mix(),
    late: reader.late(),
    latenessMs: reader.durationMs("lateness", 3_600_000),
    repeatShare: reader.share("repeat", reader.text("repeat"), 0),
    seed: reader.integer("seed", 0, 2 ** 32 - 1, 1),
    verify: reader.on("verify"),
    json: reader.on("json"),
  };
};

/** What each option allows by itself, but not beside another. */
const checkTogether = (options: Options, reader: Reader): void => {
  const { batch, window, late, latenessMs, verify, durationMs, count } = options;
  if (reader.text("count") !== undefined && reader.text("duration") !== undefined) {
    reader.wrong("--count and --duration exclude each other");
  }
  if (batch * window > limits.underWayMax) {
    reader.wrong(`--batch times --window are ${batch * window} events under way; at most ${limits.underWayMax}`);
  }
  if (reader.text("lateness") !== undefined && !verify) reader.wrong("--lateness is for --verify");
  if (!verify) return;
  if (late.share > 0 && late.byMs < latenessMs && late.byMs > latenessMs - limits.latenessMarginMs) {
    reader.wrong("--late is so near to --lateness that it is chance what is late; keep a minute between them");
  }
  const plannedMs = count === undefined ? durationMs : 0;
  if ((late.share > 0 ? late.byMs : 0) + plannedMs > limits.verifiedMsMax) {
    reader.wrong("--verify looks back a week at most; use less of --late and --duration");
  }
};

class Reader extends OptionReader<Name> {
  grpc(url: string): Options["grpc"] {
    const text = this.text("grpc") ?? `${new URL(url).hostname}:50051`;
    const match = /^(?:(grpcs?):\/\/)?((?:\[[0-9a-fA-F:]+\]|[^\s:/[\]]+):\d{1,5})\/?$/.exec(text);
    if (match === null) this.wrong("--grpc must be like 127.0.0.1:50051, or grpcs://HOST:PORT");
    return { target: match?.[2] ?? "", isEncrypted: match?.[1] === "grpcs" };
  }

  token(): string | undefined {
    const token = (this.text("token") ?? this.env["MTS_TOKEN"] ?? "").trim();
    if (token !== "" && !/^[\x21-\x7e]+$/.test(token)) this.wrong("--token must be printable ASCII");
    return token === "" ? undefined : token;
  }

  transport(): Transport {
    const text = this.text("transport") ?? "rest";
    const known = transports.find((transport) => transport === text);
    if (known === undefined) this.wrong(`--transport must be one of ${transports.join(", ")}`);
    return known ?? "rest";
  }

  rate(): number | undefined {
    const text = this.text("rate") ?? "100/s";
    if (text === "max") return undefined;
    const rate = Number(/^(\d{1,7}(?:\.\d{1,6})?)(?:\/s)?$/.exec(text)?.[1]);
    if (rate > 0 && rate <= limits.rateMax) return rate;
    this.wrong(`--rate must be events a second such as 500/s, at most ${limits.rateMax}/s, or max`);
    return undefined;
  }

  /** 0.05 or 5%. */
  share(name: Name, text: string | undefined, otherwise: number): number {
    if (text === undefined) return otherwise;
    const match = /^(\d{1,3}(?:\.\d{1,9})?)(%?)$/.exec(text);
    const share = match === null ? Number.NaN : Number(match[1]) / (match[2] === "%" ? 100 : 1);
    if (share >= 0 && share <= 1) return share;
    this.wrong(`--${name} must be a share from 0 to 1 such as 0.05, or 5%`);
    return otherwise;
  }

  late(): Options["late"] {
    const [share, time, ...rest] = (this.text("late") ?? "0").split(":");
    const byMs = parseAge(time ?? "2h") ?? Number.NaN;
    if (rest.length > 0 || !(byMs > 0 && byMs <= limits.lateMsMax)) {
      this.wrong("--late must be a share and a time of at most a year, such as 0.05:90m");
    }
    return { share: this.share("late", share, 0), byMs };
  }

  mix(): Options["mix"] {
    const mix: Record<EventType, number> = { purchase: 0, return: 0, refund: 0 };
    const text = this.text("mix") ?? "purchase=70,return=10,refund=20";
    for (const part of text.split(",")) {
      const [name = "", weight = "", ...rest] = part.split("=");
      const type = eventTypes.find((known) => known === name.trim());
      const value = /^\s*\d{1,7}\s*$/.test(weight) ? Number(weight) : Number.NaN;
      if (type === undefined || rest.length > 0 || !(value <= limits.weightMax)) {
        this.wrong(`--mix must be weights such as purchase=70,return=10,refund=20, not ${part}`);
      } else mix[type] = value;
    }
    if (this.errors.length === 0 && eventTypes.every((type) => mix[type] === 0)) {
      this.wrong("--mix has no weight above 0");
    }
    return mix;
  }
}
