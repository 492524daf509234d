/**
 * Loads the configuration: flags over environment over file over defaults. Everything that is wrong is found in one
 * go, each with its source and the fix. What there is to set lives in `config-settings.ts`, where it is read from in
 * `config-sources.ts`; ending the process when something is wrong is the caller's part.
 * @module
 */
import { join, resolve } from "node:path";
import packageJson from "../package.json" with { type: "json" };
import { type AuthValues, authFrom } from "./config-auth.ts";
import {
  environmentNameOf,
  flagOf,
  initialText,
  isActorFile,
  type Setting,
  settings,
  settingsList,
} from "./config-settings.ts";
import type { Config } from "./config-shape.ts";
import { configFileKey, quoted, readConfigFile, readEnvironment, readFlags } from "./config-sources.ts";
import { assert } from "./core/errors.ts";

/** The version of this server, from `package.json`. */
export const serverVersion: string = packageJson.version;

/** Where the configuration comes from. */
export interface LoadConfigOptions {
  /** Arguments after the script's name. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The working folder: paths are relative to it, and the file is looked for in it. */
  readonly cwd: string;
  /** Whether the log goes to a terminal; by default what standard error is. */
  readonly terminal?: boolean;
}

/** A configuration, a text to print before ending well, or everything that is wrong, a sentence each (exit code 2). */
export type LoadConfigResult =
  | { readonly config: Config }
  | { readonly help: string }
  | { readonly version: string }
  | { readonly errors: readonly string[] };

/** Loads the configuration; never throws, prints nothing. */
export const loadConfig = (options: LoadConfigOptions): LoadConfigResult => {
  const { argv, env, cwd } = options;
  if (argv.includes("--help") || argv.includes("-h")) return { help: helpText() };
  if (argv.includes("--version")) return { version: serverVersion };

  const flags = readFlags(argv);
  const environment = readEnvironment(env);
  const file = readConfigFile(flags.given.get(configFileKey) ?? environment.given.get(configFileKey), cwd);
  const sources = [flags, environment, file];
  const errors = sources.flatMap((source) => source.errors);
  for (const { given } of sources) {
    for (const setting of settingsList) {
      // Also what another source overrides: a bad value must not wait for the day it is used.
      const text = given.get(setting.key);
      const problem = text && problemWith(setting, text.raw);
      if (problem !== undefined) errors.push(`${text?.source ?? setting.key}: ${problem}`);
    }
  }
  if (errors.length > 0) return { errors };

  const textOf = (key: string): string | undefined =>
    sources.map(({ given }) => given.get(key)?.raw).find((raw) => raw !== undefined);
  const built = configFrom(textOf, options);
  if ("errors" in built) return built;
  const { config } = built;
  if (config.httpPort !== 0 && config.httpPort === config.grpcPort && config.httpHost === config.grpcHost) {
    return { errors: [`http_port, grpc_port: both are ${config.httpPort}; give one of them another port`] };
  }
  return { config };
};

/** What is wrong with the text of a setting; the text is shown unless it may hold a secret. */
const problemWith = (setting: Setting<unknown>, raw: string): string | undefined => {
  if (raw === "") return "is empty; give it a value or leave it out";
  const parsed = setting.parse(raw);
  if ("value" in parsed) return undefined;
  return `${setting.secret ? "the value" : quoted(raw)} ${parsed.problem}`;
};

/** Builds the configuration from texts that were all checked before, unless some of them do not go together. */
const configFrom = (
  textOf: (key: string) => string | undefined,
  { cwd, terminal = process.stderr.isTTY }: LoadConfigOptions,
): { readonly config: Config } | { readonly errors: readonly string[] } => {
  const valueOf = <T>(setting: Setting<T>): T => {
    const parsed = setting.parse(textOf(setting.key) ?? setting.initial);
    assert("value" in parsed, `${setting.key} was checked before`);
    return parsed.value;
  };
  const dataDir = resolve(cwd, valueOf(settings.dataDir));
  const placeOf = <T extends { readonly kind: string }>(store: T, nameInData: string): T =>
    "path" in store
      ? { ...store, path: store.path === "" ? join(dataDir, nameInData) : resolve(cwd, String(store.path)) }
      : store;
  const log = valueOf(settings.log);
  const auth = authFrom(authValues(valueOf), textOf(settings.auth.key) !== undefined, cwd);
  const [cert, key] = [valueOf(settings.tlsCert), valueOf(settings.tlsKey)];
  const errors = "errors" in auth ? [...auth.errors] : [];
  if ((cert === undefined) !== (key === undefined)) {
    errors.push("tls_cert, tls_key: one without the other; give both or none");
  }
  if (errors.length > 0 || "errors" in auth) return { errors };
  const config: Config = {
    httpHost: valueOf(settings.httpHost),
    httpPort: valueOf(settings.httpPort),
    grpcHost: valueOf(settings.grpcHost),
    grpcPort: valueOf(settings.grpcPort),
    isGrpcPortGiven: textOf(settings.grpcPort.key) !== undefined,
    grpcAutoAck: valueOf(settings.grpcAutoAck),
    auth: auth.auth,
    insecure: valueOf(settings.insecure),
    tls:
      cert === undefined || key === undefined
        ? undefined
        : { certPath: resolve(cwd, cert), keyPath: resolve(cwd, key) },
    audit: valueOf(settings.audit),
    metricsLabels: valueOf(settings.metricsLabels),
    connectionsPerAddressMax: valueOf(settings.maxConnectionsPerAddress),
    inFlightBytesMax: valueOf(settings.maxInflightBytes),
    dataDir,
    metadata: placeOf(valueOf(settings.metadataUrl), "metadata.sqlite"),
    bodies: placeOf(valueOf(settings.bodiesUrl), "bodies"),
    compress: valueOf(settings.compress),
    pointerLifetimeMs: valueOf(settings.pointerLifetime),
    publicUrl: valueOf(settings.publicUrl),
    bodyBytesMax: valueOf(settings.maxBodyBytes),
    dedupeWindowMs: valueOf(settings.dedupeWindow),
    sweepIntervalMs: valueOf(settings.sweepInterval),
    sweepGraceMs: valueOf(settings.sweepGrace),
    compactShare: valueOf(settings.compactShare),
    compactBelowBytes: valueOf(settings.compactBelow),
    actors: valueOf(settings.actors).map((name) => (isActorFile(name) ? resolve(cwd, name) : name)),
    eventsLatenessMs: valueOf(settings.eventsLateness),
    policies: valueOf(settings.policies),
    allowedOrigins: valueOf(settings.allowedOrigins),
    logLevel: log.level ?? "info",
    logFormat: log.format ?? (terminal ? "pretty" : "json"),
  };
  return { config };
};

const authValues = (valueOf: <T>(setting: Setting<T>) => T): AuthValues => ({
  auth: valueOf(settings.auth),
  auth_algorithms: valueOf(settings.authAlgorithms),
  auth_issuer: valueOf(settings.authIssuer),
  auth_audience: valueOf(settings.authAudience),
  auth_public_key: valueOf(settings.authPublicKey),
  auth_jwks_url: valueOf(settings.authJwksUrl),
  auth_jwks_file: valueOf(settings.authJwksFile),
  auth_secret: valueOf(settings.authSecret),
  auth_secret_file: valueOf(settings.authSecretFile),
});

/** The help text: every flag with its variable, default and meaning. */
const helpText = (): string => {
  const entries = settingsList.map((setting) => [
    `  ${flagOf(setting.key)} ${setting.placeholder}`,
    `${setting.meaning.replaceAll("`", "")}\n      ${environmentNameOf(setting.key)}, default ${initialText(setting)}`,
  ]);
  const extra = [
    [
      `  ${flagOf(configFileKey)} FILE`,
      `YAML or JSON file with the settings, keys as in http_port\n      ${environmentNameOf(configFileKey)}, default minitoolstream.yaml or .json in the working folder, if there`,
    ],
    ["  --help, -h", "print this text and end"],
    ["  --version", "print the version and end"],
  ];
  return [
    `MiniToolStream ${serverVersion}: a message streaming server`,
    "",
    "Usage: scripts/start [--FLAG VALUE | --FLAG=VALUE]... (or: minitoolstream serve ...)",
    "",
    ...[...entries, ...extra].map(([flag, text]) => `${flag ?? ""}\n      ${text ?? ""}`),
    "",
    "A flag wins over its MTS_ variable, a variable over the file, the file over the default.",
    "Sizes are written as 64MiB, durations as 30s. Anything unknown or wrong is named and ends with exit code 2.",
    "",
  ].join("\n");
};
