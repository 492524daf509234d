/**
 * The settings of tokens, TLS and of who may reach the server: how their texts are read, and what must come together.
 * Reading keys and certificates is the part of whoever uses them.
 * @module
 */
import { isIPv4, isIPv6 } from "node:net";
import { resolve } from "node:path";
import type { AuthChoice, AuthKeyChoice, TokenAlgorithm } from "./auth/choice.ts";
import type { Config } from "./config-shape.ts";
import type { Parsed } from "./config-stores.ts";

/** One of a few words. */
export const parseWord =
  <const T extends string>(...words: readonly T[]) =>
  (raw: string): Parsed<T> => {
    const word = words.find((known) => known === raw);
    return word === undefined ? { problem: `is none of ${words.join(", ")}; write one of them` } : { value: word };
  };

/** `true` or `false`. */
export const parseSwitch = (raw: string): Parsed<boolean> =>
  raw === "true" || raw === "false" ? { value: raw === "true" } : { problem: "is neither; write true or false" };

/** A setting that nobody has to give: the empty default is `undefined`. */
export const optional =
  <T>(parse: (raw: string) => Parsed<T>) =>
  (raw: string): Parsed<T | undefined> =>
    raw === "" ? { value: undefined } : parse(raw);

const asymmetricAlgorithms = ["RS256", "ES256", "EdDSA"] as const;
const knownAlgorithms: readonly TokenAlgorithm[] = [...asymmetricAlgorithms, "HS256"];

/** The signatures that are accepted; never `none`. */
export const parseAlgorithms = (raw: string): Parsed<readonly TokenAlgorithm[]> => {
  const words = raw.split(",").map((word) => word.trim());
  const known = words.flatMap((word) => knownAlgorithms.filter((algorithm) => algorithm === word));
  if (known.length < words.length) {
    return { problem: `is no list of algorithms; write some of ${knownAlgorithms.join(", ")} with commas between` };
  }
  return { value: [...new Set(known)] };
};

/** Text that is compared as it is: issuer and audience. */
export const parseName = (raw: string): Parsed<string> =>
  raw.trim() === raw && raw.length <= 255
    ? { value: raw }
    : { problem: "begins or ends with a space or has more than 255 characters; write the name as the tokens have it" };

/** RFC 7518 3.2: a key of HS256 has at least as many bits as its hash. */
export const secretBytesMin = 32;

/** A shared secret. */
export const parseSecret = (raw: string): Parsed<string> =>
  Buffer.byteLength(raw) >= secretBytesMin
    ? { value: raw }
    : {
        problem: `is shorter than ${secretBytesMin} bytes; make one with minitoolstream token keygen --algorithm HS256`,
      };

/** Where public keys come from must not be forged on the way. */
export const parseJwksUrl = (raw: string): Parsed<string> => {
  const wanted = "write https://HOST/PATH (http only to this machine)";
  if (!/^https?:\/\//i.test(raw) || !URL.canParse(raw)) return { problem: `is no URL of keys; ${wanted}` };
  const url = new URL(raw);
  if (url.username !== "" || url.password !== "") return { problem: `has a password in it; ${wanted}` };
  if (url.protocol === "http:" && !isLoopback(url.hostname)) return { problem: `is not encrypted; ${wanted}` };
  return { value: url.href };
};

/** Whether only this machine can reach a server that listens there. */
export const isLoopback = (host: string): boolean => {
  const name = host.toLowerCase().replace(/^\[|\]$/g, "");
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(name)?.[1] ?? name;
  if (isIPv4(mapped)) return mapped.startsWith("127.");
  if (isIPv6(name)) return /^(?:0{0,4}:){2,7}0{0,3}1$/.test(name);
  return name === "localhost" || name === "localhost.";
};

/** The texts of authentication, each read by itself; `undefined` where nobody gave one. */
export interface AuthValues {
  readonly auth: "none" | "jwt";
  readonly auth_algorithms: readonly TokenAlgorithm[] | undefined;
  readonly auth_issuer: string | undefined;
  readonly auth_audience: string | undefined;
  readonly auth_public_key: string | undefined;
  readonly auth_jwks_url: string | undefined;
  readonly auth_jwks_file: string | undefined;
  readonly auth_secret: string | undefined;
  readonly auth_secret_file: string | undefined;
}

/** Either the choice, or every sentence of what does not go together. */
export type AuthOutcome = { readonly auth: AuthChoice } | { readonly errors: readonly string[] };

/**
 * Puts the settings of authentication together.
 * @param isChosen whether `auth` was given by somebody
 * @param cwd what the paths are relative to
 */
export const authFrom = (values: AuthValues, isChosen: boolean, cwd: string): AuthOutcome => {
  const { auth, ...others } = values;
  const given = Object.entries(others).flatMap(([key, value]) => (value === undefined ? [] : [key]));
  if (auth === "none") {
    // Who gives keys means tokens; a server that silently asks for none would be open.
    return given.length === 0 || isChosen
      ? { auth: { kind: "none" } }
      : { errors: [`${given.join(", ")}: given, but auth is none; give --auth jwt (or --auth none to mean it)`] };
  }
  const sources = keySources(values, cwd);
  const { auth_issuer: issuer, auth_audience: audience } = values;
  const [source, another] = sources;
  const missing = [
    ...(issuer === undefined ? ["auth_issuer"] : []),
    ...(audience === undefined ? ["auth_audience"] : []),
    ...(source === undefined ? ["a key: auth_public_key, auth_jwks_url, auth_jwks_file, auth_secret_file"] : []),
  ];
  const errors = missing.length === 0 ? [] : [`auth: jwt needs ${missing.join(" and ")}; give what is missing`];
  if (another !== undefined) {
    errors.push(`${sources.map(({ key }) => key).join(", ")}: tokens are checked against one of them; keep one`);
  }
  const algorithms = source === undefined ? undefined : algorithmsFor(source.choice, values.auth_algorithms, errors);
  if (errors.length > 0 || issuer === undefined || audience === undefined || source === undefined) return { errors };
  return { auth: { kind: "jwt", algorithms: algorithms ?? [], issuer, audience, key: source.choice } };
};

interface KeySource {
  readonly key: string;
  readonly choice: AuthKeyChoice;
}

const keySources = (values: AuthValues, cwd: string): readonly KeySource[] => {
  const at = (path: string): string => resolve(cwd, path);
  const { auth_public_key, auth_jwks_url, auth_jwks_file, auth_secret, auth_secret_file } = values;
  const found: (KeySource | undefined)[] = [
    auth_public_key === undefined
      ? undefined
      : { key: "auth_public_key", choice: { kind: "public_key", path: at(auth_public_key) } },
    auth_jwks_url === undefined
      ? undefined
      : { key: "auth_jwks_url", choice: { kind: "jwks_url", url: auth_jwks_url } },
    auth_jwks_file === undefined
      ? undefined
      : { key: "auth_jwks_file", choice: { kind: "jwks_file", path: at(auth_jwks_file) } },
    auth_secret === undefined ? undefined : { key: "auth_secret", choice: { kind: "secret", secret: auth_secret } },
    auth_secret_file === undefined
      ? undefined
      : { key: "auth_secret_file", choice: { kind: "secret_file", path: at(auth_secret_file) } },
  ];
  return found.filter((source) => source !== undefined);
};

/** A public key must never serve as the secret of an HMAC, so the two kinds do not mix. */
const algorithmsFor = (
  choice: AuthKeyChoice,
  asked: readonly TokenAlgorithm[] | undefined,
  errors: string[],
): readonly TokenAlgorithm[] => {
  const isSecret = choice.kind === "secret" || choice.kind === "secret_file";
  const fitting: readonly TokenAlgorithm[] = isSecret ? ["HS256"] : asymmetricAlgorithms;
  const wrong = (asked ?? []).filter((algorithm) => !fitting.includes(algorithm));
  if (wrong.length > 0) {
    const what = isSecret ? "a shared secret" : "public keys";
    errors.push(`auth_algorithms: ${wrong.join(", ")} cannot be used with ${what}; write ${fitting.join(",")}`);
  }
  return asked ?? fitting;
};

/** Why a server with this configuration must not start, as one sentence with the fix; undefined when it may. */
export const openToOthers = (config: Config): string | undefined => {
  if (config.auth.kind !== "none" || config.insecure) return undefined;
  const hosts = [
    ["http_host", config.httpHost],
    ["grpc_host", config.grpcHost],
  ].filter(([, host]) => !isLoopback(host ?? ""));
  if (hosts.length === 0) return undefined;
  const named = hosts.map(([key, host]) => `${key} ${host}`).join(" and ");
  return `${named}: other machines could read and write everything; give --auth jwt with its keys, listen on 127.0.0.1, or give --insecure if the network keeps strangers out`;
};
