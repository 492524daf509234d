/**
 * Every setting as data: name, default, meaning and how its text is read. Flags, environment, file, help and the
 * README's table are all made from this one table; reading the sources is `config.ts`.
 * @module
 */
import { isIP } from "node:net";
import {
  optional,
  parseAlgorithms,
  parseJwksUrl,
  parseName,
  parseSecret,
  parseSwitch,
  parseWord,
} from "./config-auth.ts";
import type { Config } from "./config-shape.ts";
import { type Parsed, parseBodiesUrl, parseMetadataUrl, parsePointerLifetime } from "./config-stores.ts";
import {
  parseCompactBelow,
  parseCompactShare,
  parsePolicies,
  parseSweepGrace,
  parseSweepInterval,
} from "./config-upkeep.ts";
import { parseAge, parseSize } from "./core/duration.ts";

export type { Parsed } from "./config-stores.ts";

/** One setting. */
export interface Setting<out T> {
  /** Its name in the file; flag and variable are made from it: `http_port` is `--http-port` and `MTS_HTTP_PORT`. */
  readonly key: string;
  /** What the help text shows in the value's place. */
  readonly placeholder: string;
  /** The default as somebody would write it, or nothing; read by `parse` like any other value. */
  readonly initial: string;
  /** One sentence for the help text and the README. */
  readonly meaning: string;
  /** The value may hold a password, so it is never printed back. */
  readonly secret?: true;
  /** As a flag it needs no value: `--insecure` is `--insecure=true`. */
  readonly isSwitch?: true;
  /** A map in the file; elsewhere the same as JSON. */
  readonly isMap?: true;
  readonly parse: (raw: string) => Parsed<T>;
}

/** Level and format as far as they were named; `undefined` leaves the choice to the default. */
export interface LogChoice {
  readonly level?: Config["logLevel"];
  readonly format?: Config["logFormat"];
}

/** One GiB: a body, in base64, still fits one string and one frame. */
const bodyBytesCeiling = 1024 ** 3;
/** Thirty days: every remembered id costs a row. */
const dedupeWindowMsMax = 30 * 24 * 60 * 60 * 1000;

const hostName =
  /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?$/;

const parseHost = (raw: string): Parsed<string> => {
  const host = raw.startsWith("[") && raw.endsWith("]") ? raw.slice(1, -1) : raw;
  if (isIP(host) !== 0) return { value: host };
  if (raw === "*") return { problem: "is no address; every interface is 0.0.0.0, or :: with IPv6" };
  if (/^[\d.]+$/.test(raw) || !hostName.test(raw)) {
    return {
      problem: "is no host name or IP address; write it alone, such as 127.0.0.1 (the port is a setting of its own)",
    };
  }
  return { value: raw };
};

const parsePort = (raw: string): Parsed<number> =>
  /^\d{1,5}$/.test(raw) && Number(raw) <= 65_535
    ? { value: Number(raw) }
    : { problem: "is no port; write a whole number from 0 (any free port) to 65535" };

const parsePath = (raw: string): Parsed<string> =>
  raw.includes("\0") ? { problem: "is no path; it contains a NUL character" } : { value: raw };

const parseBodyBytes = (raw: string): Parsed<number> => {
  const bytes = parseSize(raw);
  if (bytes === undefined) {
    return { problem: "is no size; write a whole number with a unit (B kB MB GB KiB MiB GiB), such as 64MiB" };
  }
  return bytes >= 1 && bytes <= bodyBytesCeiling ? { value: bytes } : { problem: "is out of range; 1B to 1GiB" };
};

/** One TiB: more than any machine holds. */
const inFlightBytesCeiling = 1024 ** 4;

const parseInFlightBytes = (raw: string): Parsed<number> => {
  const bytes = parseSize(raw);
  if (bytes === undefined) return { problem: "is no size; write a whole number with a unit, such as 256MiB" };
  return bytes >= 1024 ** 2 && bytes <= inFlightBytesCeiling
    ? { value: bytes }
    : { problem: "is out of range; 1MiB to 1024GiB" };
};

const parseConnections = (raw: string): Parsed<number> =>
  /^\d{1,7}$/.test(raw)
    ? { value: Number(raw) }
    : { problem: "is no number of connections; write a whole number from 0 (no limit) to 9999999" };

const parseWindow = (raw: string): Parsed<number> => {
  const ms = parseAge(raw);
  if (ms === undefined) {
    return { problem: "is no duration; write a whole number with a unit (ms s m h d w), such as 2m" };
  }
  return ms >= 1 && ms <= dedupeWindowMsMax ? { value: ms } : { problem: "is out of range; 1ms to 30d" };
};

/** One browser origin in the form a browser sends it, or undefined. */
const canonicalOrigin = (raw: string): string | undefined => {
  if (!/^https?:\/\/[^/?#@*\\\s]+\/?$/i.test(raw) || !URL.canParse(raw)) return undefined;
  return new URL(raw).origin;
};

const parsePublicUrl = (raw: string): Parsed<string> => {
  const origin = canonicalOrigin(raw);
  return origin === undefined
    ? { problem: "is no address; write a scheme and a host, such as https://stream.example.com, without a path" }
    : { value: origin };
};

const parseOrigins = (raw: string): Parsed<readonly string[]> => {
  const entries = raw.split(",").map((entry) => entry.trim());
  if (entries.includes("*")) {
    return entries.length === 1
      ? { value: ["*"] }
      : { problem: "lists * beside other origins; * alone lets every origin in" };
  }
  const origins = entries.filter((entry) => entry !== "own").map(canonicalOrigin);
  const known = origins.filter((origin) => origin !== undefined);
  return known.length === origins.length
    ? { value: [...new Set(known)] }
    : {
        problem: "is no list of origins; write own, *, or origins such as https://app.example.com with commas between",
      };
};

const actorsProblem = "is no list of actors; write none, or names such as metrics and files such as ./actors/alerts.ts";

/** Bare names, and files. */
const parseActors = (raw: string): Parsed<readonly string[]> => {
  if (raw === "none") return { value: [] };
  const names = raw.split(",").map((name) => name.trim());
  const isActor = (name: string): boolean => isActorFile(name) || /^[a-z][a-z0-9-]*$/.test(name);
  return names.every(isActor) && !names.includes("none") ? { value: [...new Set(names)] } : { problem: actorsProblem };
};

/** Whether an actor's name is a path to a file of the user. */
export const isActorFile = (name: string): boolean =>
  !name.includes("\0") && (name.includes("/") || name.endsWith(".ts"));

const parseLateness = (raw: string): Parsed<number> => {
  const ms = parseAge(raw);
  return ms === undefined
    ? { problem: "is no duration; write a whole number with a unit (ms s m h d w), such as 1h" }
    : { value: ms };
};

const logLevels = ["debug", "info", "warn", "error", "off"] as const;
const logFormats = ["json", "pretty"] as const;

const parseLog = (raw: string): Parsed<LogChoice> => {
  const words = raw.split(",").map((word) => word.trim());
  const levels = words.map((word) => logLevels.find((level) => level === word)).filter((word) => word !== undefined);
  const formats = words
    .map((word) => logFormats.find((format) => format === word))
    .filter((word) => word !== undefined);
  if (levels.length + formats.length < words.length || levels.length > 1 || formats.length > 1) {
    return {
      problem: "is no way to log; write debug, info, warn, error or off, json or pretty, or both as debug,pretty",
    };
  }
  return { value: { ...(levels[0] && { level: levels[0] }), ...(formats[0] && { format: formats[0] }) } };
};

/** Keeps each setting's own value type while every entry has the shape of a `Setting`. */
const setting = <T>(spec: Setting<T>): Setting<T> => spec;

/** The settings, in the order of the help text. */
export const settings = {
  httpHost: setting({
    key: "http_host",
    placeholder: "HOST",
    initial: "127.0.0.1",
    meaning: "address that HTTP and WebSocket listen on",
    parse: parseHost,
  }),
  httpPort: setting({
    key: "http_port",
    placeholder: "PORT",
    initial: "8000",
    meaning: "port of HTTP and WebSocket; 0 takes any free one",
    parse: parsePort,
  }),
  grpcHost: setting({
    key: "grpc_host",
    placeholder: "HOST",
    initial: "127.0.0.1",
    meaning: "address that gRPC listens on",
    parse: parseHost,
  }),
  grpcPort: setting({
    key: "grpc_port",
    placeholder: "PORT",
    initial: "50051",
    meaning: "port of gRPC; 0 takes any free one",
    parse: parsePort,
  }),
  grpcAutoAck: setting({
    key: "grpc_auto_ack",
    placeholder: "true|false",
    initial: "false",
    isSwitch: true,
    meaning: "a Fetch over gRPC acknowledges what it delivers, for clients that never call AckMessage",
    parse: parseSwitch,
  }),
  auth: setting({
    key: "auth",
    placeholder: "none|jwt",
    initial: "none",
    meaning: "`jwt` asks every caller for a token; `none` lets everybody do everything",
    parse: parseWord("none", "jwt"),
  }),
  authAlgorithms: setting({
    key: "auth_algorithms",
    placeholder: "LIST",
    initial: "",
    meaning: "signatures that are accepted: `RS256,ES256,EdDSA` with public keys, `HS256` with a secret, or fewer",
    parse: optional(parseAlgorithms),
  }),
  authIssuer: setting({
    key: "auth_issuer",
    placeholder: "NAME",
    initial: "",
    meaning: "`iss` that a token must have; needed with `jwt`",
    parse: optional(parseName),
  }),
  authAudience: setting({
    key: "auth_audience",
    placeholder: "NAME",
    initial: "",
    meaning: "`aud` that a token must have; needed with `jwt`",
    parse: optional(parseName),
  }),
  authPublicKey: setting({
    key: "auth_public_key",
    placeholder: "FILE",
    initial: "",
    meaning: "PEM file with the public key that tokens are checked with, or several of them",
    parse: optional(parsePath),
  }),
  authJwksUrl: setting({
    key: "auth_jwks_url",
    placeholder: "URL",
    initial: "",
    meaning: "where the public keys are published as a JWK set; `https`, or `http` on this machine",
    parse: optional(parseJwksUrl),
  }),
  authJwksFile: setting({
    key: "auth_jwks_file",
    placeholder: "FILE",
    initial: "",
    meaning: "file with the public keys as a JWK set",
    parse: optional(parsePath),
  }),
  authSecret: setting({
    key: "auth_secret",
    placeholder: "TEXT",
    initial: "",
    secret: true,
    meaning: "shared secret of HS256, 32 bytes at least",
    parse: optional(parseSecret),
  }),
  authSecretFile: setting({
    key: "auth_secret_file",
    placeholder: "FILE",
    initial: "",
    meaning: "file with the shared secret of HS256; a line feed at its end does not count",
    parse: optional(parsePath),
  }),
  insecure: setting({
    key: "insecure",
    placeholder: "true|false",
    initial: "false",
    isSwitch: true,
    meaning: "start without tokens although other machines can reach the server",
    parse: parseSwitch,
  }),
  tlsCert: setting({
    key: "tls_cert",
    placeholder: "FILE",
    initial: "",
    meaning: "PEM file with the certificate and its chain, for HTTP, WebSocket and gRPC; `tls_key` goes with it",
    parse: optional(parsePath),
  }),
  tlsKey: setting({
    key: "tls_key",
    placeholder: "FILE",
    initial: "",
    meaning: "PEM file with the key of the certificate",
    parse: optional(parsePath),
  }),
  audit: setting({
    key: "audit",
    placeholder: "WORD",
    initial: "changes",
    meaning:
      "what the log tells of callers: `changes` (first uses of a token, refusals, deletions, consumers, subscriptions), `all` verbs, or `off`",
    parse: parseWord("off", "changes", "all"),
  }),
  metricsLabels: setting({
    key: "metrics_labels",
    placeholder: "none|subjects",
    initial: "none",
    meaning:
      "`subjects` adds metrics of each consumer, up to 1,000, to those of all together; whoever may read metrics sees the names then",
    parse: parseWord("none", "subjects"),
  }),
  dataDir: setting({
    key: "data_dir",
    placeholder: "FOLDER",
    initial: "./data",
    meaning: "folder of the embedded stores, relative to the working folder",
    parse: parsePath,
  }),
  metadataUrl: setting({
    key: "metadata_url",
    placeholder: "URL",
    initial: "sqlite:",
    meaning: "metadata store: `sqlite:` in the data folder, `sqlite:PATH`, or `tarantool://USER:PASSWORD@HOST:3301`",
    secret: true,
    parse: parseMetadataUrl,
  }),
  bodiesUrl: setting({
    key: "bodies_url",
    placeholder: "URL",
    initial: "file:",
    meaning:
      "body store: `file:` in the data folder, `file:PATH`, or `s3://KEY:SECRET@HOST:9000/BUCKET?tls=false&region=us-east-1`",
    secret: true,
    parse: parseBodiesUrl,
  }),
  compress: setting({
    key: "compress",
    placeholder: "none|zstd",
    initial: "none",
    meaning: "`zstd` packs new bodies in the body store where that saves a tenth; readers get them as published",
    parse: parseWord("none", "zstd"),
  }),
  pointerLifetime: setting({
    key: "pointer_lifetime",
    placeholder: "DURATION",
    initial: "15m",
    meaning: "how long a pointer to a body, or an opened upload, is valid; 1s to 24h",
    parse: parsePointerLifetime,
  }),
  publicUrl: setting({
    key: "public_url",
    placeholder: "URL",
    initial: "",
    meaning: "where clients reach this server, for signed addresses of bodies in files; default: where it listens",
    parse: optional(parsePublicUrl),
  }),
  maxBodyBytes: setting({
    key: "max_body_bytes",
    placeholder: "SIZE",
    initial: "64MiB",
    meaning: "largest message body, up to 1GiB",
    parse: parseBodyBytes,
  }),
  maxInflightBytes: setting({
    key: "max_inflight_bytes",
    placeholder: "SIZE",
    initial: "256MiB",
    meaning: "bytes of all requests under way together; past it requests are refused for the moment",
    parse: parseInFlightBytes,
  }),
  maxConnectionsPerAddress: setting({
    key: "max_connections_per_address",
    placeholder: "COUNT",
    initial: "10000",
    meaning: "connections that one address may hold, per transport; 0 is no limit",
    parse: parseConnections,
  }),
  dedupeWindow: setting({
    key: "dedupe_window",
    placeholder: "DURATION",
    initial: "2m",
    meaning: "how long a message id is remembered, up to 30d",
    parse: parseWindow,
  }),
  actors: setting({
    key: "actors",
    placeholder: "LIST",
    initial: "metrics",
    meaning:
      "application actors to run, with commas between: those of `actors/` by name, others by their file; `none` for none",
    parse: parseActors,
  }),
  eventsLateness: setting({
    key: "events_lateness",
    placeholder: "DURATION",
    initial: "1h",
    meaning: "business events that arrive later than this after they happened are counted apart in the metrics",
    parse: parseLateness,
  }),
  policies: setting({
    key: "policies",
    placeholder: "JSON",
    initial: "",
    isMap: true,
    meaning:
      'what is kept of subjects, put at every start: a map of filters, each with the fields of a policy; as a flag or variable `{"logs.>":{"max_age":"24h"}}`',
    parse: parsePolicies,
  }),
  sweepInterval: setting({
    key: "sweep_interval",
    placeholder: "DURATION",
    initial: "10s",
    meaning: "time between two rounds of upkeep, which deletes what policies no longer keep; `off` for none",
    parse: parseSweepInterval,
  }),
  sweepGrace: setting({
    key: "sweep_grace",
    placeholder: "DURATION",
    initial: "2m",
    meaning: "how long no message points into an object before upkeep deletes it; longer than a publish may take",
    parse: parseSweepGrace,
  }),
  compactShare: setting({
    key: "compact_share",
    placeholder: "SHARE",
    initial: "0.5",
    meaning: "objects of the body store are rewritten when messages use at most this share of them; `0` for never",
    parse: parseCompactShare,
  }),
  compactBelow: setting({
    key: "compact_below",
    placeholder: "SIZE",
    initial: "1MiB",
    meaning:
      "objects of the body store that are smaller are joined, when there are many; not with a `compact_share` of 0",
    parse: parseCompactBelow,
  }),
  allowedOrigins: setting({
    key: "allowed_origins",
    placeholder: "LIST",
    initial: "own",
    meaning: "browser origins let in beside the server's own, with commas between; `*` lets all in",
    parse: parseOrigins,
  }),
  log: setting({
    key: "log",
    placeholder: "WORDS",
    initial: "info",
    meaning:
      "`debug`, `info`, `warn`, `error` or `off`; `json` or `pretty` (default on a terminal); both as `debug,pretty`",
    parse: parseLog,
  }),
};

/** The same as a list. */
export const settingsList: readonly Setting<unknown>[] = Object.values(settings);

/** `http_port` → `--http-port`. */
export const flagOf = (key: string): string => `--${key.replaceAll("_", "-")}`;

/** `http_port` → `MTS_HTTP_PORT`. */
export const environmentNameOf = (key: string): string => `MTS_${key.toUpperCase()}`;

/** The default as the help and the README show it. */
export const initialText = ({ initial }: Setting<unknown>): string => (initial === "" ? "not set" : initial);

/** The table of the README, as Markdown without padding. */
export const settingsMarkdown = (): string =>
  [
    "| flag | environment | default | meaning |",
    "| --- | --- | --- | --- |",
    ...settingsList.map(
      (setting) =>
        `| \`${flagOf(setting.key)}\` | \`${environmentNameOf(setting.key)}\` | ${setting.initial === "" ? "not set" : `\`${setting.initial}\``} | ${setting.meaning} |`,
    ),
  ].join("\n");
