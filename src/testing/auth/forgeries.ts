/**
 * Tokens that must not be believed, as data: each is what an attacker (or a mistake) makes of a token that would grant
 * everything. Every transport tries all of them.
 * @module
 */
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { audience, compact, encodePart, es256, type Grants, hs256, inSeconds, type TestIssuer } from "./token.ts";

/** One of them. */
export interface Forgery {
  readonly name: string;
  readonly token: string;
  readonly code: "unauthenticated" | "token_expired";
}

const everything: Grants = {
  client_id: "intruder",
  allowed_subjects: [">"],
  permissions: ["*"],
  admin: true,
};

/** All of them, for a server that believes this issuer. */
export const forgeries = (issuer: TestIssuer): readonly Forgery[] => {
  const claims = issuer.claims(everything);
  const valid = issuer.token(everything);
  const [head = "", payload = "", signature = ""] = valid.split(".");
  const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const ownJwk = own.publicKey.export({ format: "jwk" });
  const unsigned = (): Uint8Array => new Uint8Array();
  const byOwn = es256(own.privateKey);
  const pem = issuer.publicKey;
  const der = createPublicKey(pem).export({ type: "spki", format: "der" });
  const rows: readonly (readonly [name: string, token: string, code?: Forgery["code"]])[] = [
    ["alg none", compact({ alg: "none" }, claims, unsigned)],
    ["alg None", compact({ alg: "None" }, claims, unsigned)],
    ["alg none over a real signature", `${encodePart({ alg: "none" })}.${payload}.${signature}`],
    ["no alg", compact({ typ: "JWT" }, claims, es256(issuer.privateKey))],
    ["HS256 signed with the public key's PEM", compact({ alg: "HS256" }, claims, hs256(pem))],
    ["HS256 signed with the PEM without its last line end", compact({ alg: "HS256" }, claims, hs256(pem.trim()))],
    ["HS256 signed with the public key's DER", compact({ alg: "HS256" }, claims, hs256(der))],
    ["HS256 signed with nothing", compact({ alg: "HS256" }, claims, hs256(""))],
    ["RS256 in the header of another key", compact({ alg: "RS256" }, claims, es256(issuer.privateKey))],
    ["another key", compact({ alg: "ES256" }, claims, byOwn)],
    ["another key, brought along as jwk", compact({ alg: "ES256", jwk: ownJwk }, claims, byOwn)],
    [
      "another key, offered at jku",
      compact({ alg: "ES256", kid: "1", jku: "http://127.0.0.1:9/jwks.json" }, claims, byOwn),
    ],
    ["another key, offered at x5u", compact({ alg: "ES256", x5u: "http://127.0.0.1:9/chain.pem" }, claims, byOwn)],
    ["another key, brought along as x5c", compact({ alg: "ES256", x5c: [ownJwk.x ?? ""] }, claims, byOwn)],
    ["a kid that is a path", compact({ alg: "HS256", kid: "../../../../dev/null" }, claims, hs256(""))],
    ["a kid that is SQL", compact({ alg: "ES256", kid: "x' UNION SELECT 'secret" }, claims, byOwn)],
    ["an unknown critical header", issuer.token(everything, {}, { crit: ["exp2"], exp2: 1 })],
    ["claims that were changed", `${head}.${encodePart({ ...claims, client_id: "root" })}.${signature}`],
    ["a signature that was changed", `${head}.${payload}.${changed(signature)}`],
    ["no signature", `${head}.${payload}.`],
    ["a signature of zeros", `${head}.${payload}.${encodePart(new Uint8Array(64))}`],
    ["a signature in DER", compact({ alg: "ES256" }, claims, () => new Uint8Array(70).fill(0x30))],
    ["another issuer", issuer.token(everything, { iss: "https://issuer.test.evil" })],
    ["the issuer in a list", issuer.token(everything, { iss: ["https://issuer.test"] })],
    ["no issuer", issuer.token(everything, { iss: undefined })],
    ["another audience", issuer.token(everything, { aud: `${audience}2` })],
    ["no audience", issuer.token(everything, { aud: undefined })],
    ["no expiry", issuer.token(everything, { exp: undefined })],
    ["an expiry that is text", issuer.token(everything, { exp: String(inSeconds(600)) })],
    ["an expiry in the past", issuer.token(everything, { exp: inSeconds(-1) }), "token_expired"],
    ["not before a time in the future", issuer.token(everything, { nbf: inSeconds(300) })],
    ["no client", issuer.token(everything, { client_id: undefined })],
    ["a client that is a number", issuer.token(everything, { client_id: 1 })],
    ["subjects that are text", issuer.token(everything, { allowed_subjects: ">" })],
    ["subjects with one that is no filter", issuer.token(everything, { allowed_subjects: ["a", "a..b"] })],
    ["subjects with a number", issuer.token(everything, { allowed_subjects: [1] })],
    ["permissions that are text", issuer.token(everything, { permissions: "*" })],
    ["denied subjects that are text", issuer.token(everything, { deny_subjects: "a" })],
    ["admin that is text", issuer.token(everything, { admin: "false" })],
    ["three empty parts", ".."],
    ["one part", head],
    ["two parts", `${head}.${payload}`],
    ["four parts", `${valid}.${signature}`],
    ["five parts, as of an encrypted token", `${head}..${payload}.${signature}.${signature}`],
    ["parts that are not base64url", "!.!.!"],
    ["a header that is no JSON", `${encodePart(Buffer.from("{"))}.${payload}.${signature}`],
    ["a header that is null", `${encodePart(Buffer.from("null"))}.${payload}.${signature}`],
    ["more than 8 KiB", issuer.token(everything, { filler: "x".repeat(8 * 1024) })],
    ["a word", "secret"],
  ];
  return rows.map(([name, token, code = "unauthenticated"]) => ({ name, token, code }));
};

const changed = (signature: string): string => `${signature.startsWith("A") ? "B" : "A"}${signature.slice(1)}`;
