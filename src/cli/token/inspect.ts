/**
 * `token inspect`: what is in a token, what it grants, and whether it is any good.
 * @module
 */
import { grantFrom } from "../../auth/claims.ts";
import type { Grant } from "../../auth/grant.ts";
import { checkToken, readCheckingKeys, readSecret, readToken, type SigningKey } from "../../auth/issue.ts";
import { StreamError } from "../../core/errors.ts";
import { CliFailure, type Command, UsageError } from "../command.ts";
import type { Io } from "../io.ts";
import type { Given } from "../options.ts";
import { audienceOf, issuerOf, keyOptions } from "./create.ts";
import { explainKeys, readKeyFile } from "./files.ts";

/** Far more than any token has. */
const inputBytesMax = 64 * 1024;

export const tokenInspectCommand: Command = {
  name: "token inspect",
  usage: "[TOKEN] [--key FILE | --secret-file FILE] [--json]",
  summary: "show what is in a token, what it grants, and whether it is valid",
  details: `
Reads the token from standard input, or from a file with --token-file; as a word on the command line it works too, but
there others on the machine can see it. With a key (public or private) or the secret the signature is checked, with
--issuer and --audience these too; the times always are.

Exits 1 when the token is invalid.

Examples:
  minitoolstream token inspect --key token.public.pem < shop.token
  minitoolstream token inspect --token-file shop.token --json`,
  operands: { min: 0, max: 1 },
  isOffline: true,
  options: {
    "token-file": { kind: "text", placeholder: "FILE", meaning: "file with the token" },
    ...keyOptions,
    json: { kind: "flag", meaning: "print one JSON object" },
  },
  run: async (given, io) => {
    const token = (await tokenOf(given, io)).trim().replace(/^Bearer +/i, "");
    const read = readToken(token);
    if (read === undefined)
      throw new CliFailure("this is no token: it must be three parts in base64url with dots between");
    const { algorithm, claims } = read;
    const keys = await checkingKeys(given, io);
    // What nobody asked to check is taken from the token itself.
    const issuer = issuerOf(given, io) ?? String(claims.iss);
    const audience = audienceOf(given, io) ?? String([claims.aud].flat()[0]);
    const problem = await problemOf(
      keys === undefined
        ? () => checkTimes(claims, io.nowMs())
        : () => checkToken(token, { keys, issuer, audience, nowMs: io.nowMs() }),
    );
    // Without a key nobody can know, which is neither true nor false.
    const valid = problem !== undefined ? false : keys === undefined ? null : true;
    const view = { valid, signature_checked: keys !== undefined, problem, algorithm, claims };
    const text = given.flag("json")
      ? `${JSON.stringify(view)}\n`
      : textOf(claims, [
          ["token", problem ?? (keys === undefined ? "not expired" : "valid")],
          ["signature", keys === undefined ? `${algorithm}, not checked: give --key or --secret-file` : algorithm],
        ]);
    await io.stdout.write(text);
    return problem === undefined ? 0 : 1;
  },
};

const tokenOf = async (given: Given, io: Io): Promise<string> => {
  const [word] = given.operands;
  const path = given.text("token-file");
  if (word !== undefined) {
    io.stderr("minitoolstream: others on this machine can see the words of a command; pipe the token in instead\n");
    return word;
  }
  if (path !== undefined) return readKeyFile(path, io);
  if (io.stdinIsTerminal) throw new UsageError("pipe the token in, or name its file with --token-file");
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of io.stdin()) {
    bytes += chunk.length;
    if (bytes > inputBytesMax) throw new CliFailure("this is no token: it is far too long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
};

const checkingKeys = async (given: Given, io: Io): Promise<readonly SigningKey[] | undefined> => {
  const [keyPath, secretPath] = [given.text("key"), given.text("secret-file")];
  if (keyPath !== undefined && secretPath !== undefined) throw new UsageError("give one of --key and --secret-file");
  const path = keyPath ?? secretPath;
  if (path === undefined) return undefined;
  const text = await readKeyFile(path, io);
  return explainKeys(() => (keyPath === undefined ? [readSecret(text, path)] : readCheckingKeys(text, path)));
};

/** What the server would say against it, or undefined. */
const problemOf = async (check: () => Promise<void>): Promise<string | undefined> => {
  try {
    await check();
    return undefined;
  } catch (thrown) {
    if (thrown instanceof StreamError) return thrown.message;
    throw thrown;
  }
};

/** What can be said without a key. @throws StreamError */
const checkTimes = async (claims: Readonly<Record<string, unknown>>, nowMs: number): Promise<void> => {
  const { expiresAt } = grantFrom(claims);
  if (expiresAt <= nowMs) throw new StreamError("token_expired", "The token has expired.");
  if (typeof claims["nbf"] === "number" && claims["nbf"] * 1000 > nowMs) {
    throw new StreamError("unauthenticated", "The token is invalid: it is not valid yet (nbf).");
  }
};

type Rows = readonly (readonly [string, string])[];

const textOf = (claims: Readonly<Record<string, unknown>>, rows: Rows): string => {
  const all: Rows = [
    ...rows,
    ["client", shown(claims["client_id"])],
    ["issuer", shown(claims["iss"])],
    ["audience", shown(claims["aud"])],
    ["issued", timeText(claims["iat"])],
    ["not before", timeText(claims["nbf"])],
    ["expires", timeText(claims["exp"])],
    ...wordsOf(claims),
  ];
  return all
    .filter(([, value]) => value !== "")
    .map(([name, value]) => `${name.padEnd(10)}  ${value}\n`)
    .join("");
};

/** What it grants, in words; nothing for claims that cannot be read, of which the first line tells. */
const wordsOf = (claims: Readonly<Record<string, unknown>>): Rows => {
  let grant: Grant;
  try {
    grant = grantFrom(claims);
  } catch {
    return [];
  }
  const { allowed, denied, permissions, admin } = grant;
  const verbs = [
    ...(permissions.has("publish") ? ["publish"] : []),
    ...(permissions.has("subscribe") ? ["subscribe (pushes and live tails)"] : []),
    ...(permissions.has("fetch") ? ["fetch (reads, fetches, peeks)"] : []),
    ...(permissions.has("fetch") || permissions.has("subscribe") ? ["use consumers and acknowledge"] : []),
    ...(admin ? ["delete messages"] : []),
  ];
  const subjects =
    allowed.length === 0 ? "no subject" : allowed.map((filter) => (filter === ">" ? "every subject" : filter));
  return [
    ["may", verbs.length === 0 ? "nothing" : verbs.join(", ")],
    ["on", [subjects].flat().join(", ")],
    ["but not on", denied.map((filter) => (filter === ">" ? "any subject" : filter)).join(", ")],
  ];
};

const timeText = (seconds: unknown): string => {
  const date = typeof seconds === "number" ? new Date(seconds * 1000) : undefined;
  return date === undefined || Number.isNaN(date.getTime()) ? shown(seconds) : date.toISOString();
};

/** A claim may hold anything: on one line, and nothing that moves the cursor. */
const shown = (value: unknown): string => {
  if (value === undefined) return "";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, "?");
};
