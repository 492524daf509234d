/**
 * `token create`: signs a token.
 * @module
 */
import { readPrivateKey, readSecret, type SigningKey, signClaims } from "../../auth/issue.ts";
import { StreamError } from "../../core/errors.ts";
import { clientIdCharsMax, tokenBytesMax } from "../../core/limits.ts";
import { parseFilter } from "../../core/subject.ts";
import { CliFailure, type Command, type OptionSpec, UsageError } from "../command.ts";
import type { Io } from "../io.ts";
import type { Given } from "../options.ts";
import { explainKeys, readKeyFile, warnOfReaders } from "./files.ts";

const durationMsDefault = 24 * 60 * 60 * 1000;
const permissions: readonly string[] = ["publish", "subscribe", "fetch", "*"];

/** What a token is signed or checked with, and what must be in it; the names are the server's own settings. */
export const keyOptions: Readonly<Record<string, OptionSpec>> = {
  key: { kind: "text", placeholder: "FILE", meaning: "PEM file with the key" },
  "secret-file": { kind: "text", placeholder: "FILE", meaning: "file with the shared secret, for HS256" },
  issuer: { kind: "text", placeholder: "NAME", meaning: "the server's auth_issuer; default what MTS_AUTH_ISSUER says" },
  audience: {
    kind: "text",
    placeholder: "NAME",
    meaning: "the server's auth_audience; default what MTS_AUTH_AUDIENCE says",
  },
};

export const tokenCreateCommand: Command = {
  name: "token create",
  usage: "--client NAME --subjects LIST --permissions LIST (--key FILE | --secret-file FILE) [OPTION]...",
  summary: "sign a token and print it",
  details: `
Permissions are publish, subscribe (pushes and live tails), fetch (reads, fetches), or * for all three; --admin adds
deleting messages. Subjects are filters: * stands for one word, > for the rest, and a lone * for every subject. What
--deny names is taken out again, whatever else is granted.

Examples:
  minitoolstream token create --client shop --subjects 'orders.>' --permissions publish \\
    --key token.private.pem --issuer https://issuer.example --audience streams > shop.token
  minitoolstream token create --client ops --subjects '>' --deny 'payroll.>' --permissions '*' --admin \\
    --duration 1h --secret-file token.secret --issuer ops --audience streams`,
  operands: { min: 0, max: 0 },
  isOffline: true,
  options: {
    client: { kind: "text", placeholder: "NAME", meaning: "who the token is for, as the audit log will name it" },
    subjects: { kind: "texts", placeholder: "LIST", meaning: "filters, with commas between; may be repeated" },
    permissions: { kind: "texts", placeholder: "LIST", meaning: "publish, subscribe, fetch, or *" },
    deny: { kind: "texts", placeholder: "LIST", meaning: "filters that are taken out again" },
    admin: { kind: "flag", meaning: "let it delete messages" },
    duration: { kind: "text", placeholder: "DURATION", meaning: "how long it is valid; default 24h" },
    ...keyOptions,
  },
  run: async (given, io) => {
    const claims = claimsOf(given, io);
    const token = await signClaims(claims, await signingKey(given, io));
    if (token.length > tokenBytesMax) {
      throw new CliFailure(`the token has more than ${tokenBytesMax} bytes, which servers refuse; use fewer filters`);
    }
    await io.stdout.write(`${token}\n`);
    return 0;
  },
};

const claimsOf = (given: Given, io: Io): Readonly<Record<string, string | number | boolean | readonly string[]>> => {
  const client = needed(given, "client");
  if (client.length > clientIdCharsMax) throw new UsageError(`--client has more than ${clientIdCharsMax} characters`);
  const durationMs = given.durationMs("duration") ?? durationMsDefault;
  if (durationMs < 1000) throw new UsageError("--duration must be 1s or more");
  const deny = filters(given, "deny");
  const subjects = filters(given, "subjects");
  if (subjects.length === 0) throw new UsageError("--subjects is missing; --subjects '>' grants all of them");
  const words = listOf(given, "permissions");
  const unknown = words.find((word) => !permissions.includes(word));
  if (unknown !== undefined || (words.length === 0 && !given.flag("admin"))) {
    throw new UsageError(`--permissions must be some of ${permissions.join(", ")}, with commas between`);
  }
  const now = Math.floor(io.nowMs() / 1000);
  return {
    iss: issuerOf(given, io) ?? missing("issuer", "MTS_AUTH_ISSUER"),
    aud: audienceOf(given, io) ?? missing("audience", "MTS_AUTH_AUDIENCE"),
    sub: client,
    client_id: client,
    allowed_subjects: subjects,
    ...(deny.length > 0 && { deny_subjects: deny }),
    permissions: words,
    ...(given.flag("admin") && { admin: true }),
    iat: now,
    nbf: now,
    exp: now + Math.floor(durationMs / 1000),
  };
};

/** `iss` as it is given, or as the server has it. */
export const issuerOf = (given: Given, io: Io): string | undefined =>
  given.text("issuer") ?? (io.env["MTS_AUTH_ISSUER"] || undefined);

/** `aud` as it is given, or as the server has it. */
export const audienceOf = (given: Given, io: Io): string | undefined =>
  given.text("audience") ?? (io.env["MTS_AUTH_AUDIENCE"] || undefined);

const missing = (option: string, variable: string): never => {
  throw new UsageError(`--${option} is missing (or ${variable}); servers accept one only`);
};

const needed = (given: Given, option: string): string => {
  const value = given.text(option);
  if (value === undefined) throw new UsageError(`--${option} is missing`);
  return value;
};

/** Words of an option that may be repeated, and may have several with commas. */
const listOf = (given: Given, option: string): readonly string[] =>
  given
    .texts(option)
    .flatMap((text) => text.split(","))
    .map((word) => word.trim())
    .filter((word) => word !== "");

const filters = (given: Given, option: string): readonly string[] =>
  listOf(given, option).map((text) => {
    try {
      return text === "*" ? text : parseFilter(text);
    } catch (thrown) {
      if (!(thrown instanceof StreamError)) throw thrown;
      throw new UsageError(`--${option}: ${JSON.stringify(text)} is no filter: ${thrown.message}`);
    }
  });

const signingKey = async (given: Given, io: Io): Promise<SigningKey> => {
  const [keyPath, secretPath] = [given.text("key"), given.text("secret-file")];
  if ((keyPath === undefined) === (secretPath === undefined)) {
    throw new UsageError("give one of --key FILE and --secret-file FILE; token keygen makes them");
  }
  const path = keyPath ?? secretPath ?? "";
  const text = await readKeyFile(path, io);
  await warnOfReaders(path, io);
  return explainKeys(() => (keyPath === undefined ? readSecret(text, path) : readPrivateKey(text, path)));
};
