/**
 * An issuer of tokens for tests: key pairs, and tokens as a program of one's own would sign them, right and wrong.
 * @module
 */
import { generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, type JWTHeaderParameters, SignJWT } from "jose";

/** What the tokens of the issuer say of themselves. */
export const issuer = "https://issuer.example";
export const audience = "streams";

/** A pair that signs with its algorithm. */
export interface Signer {
  readonly alg: "RS256" | "ES256" | "EdDSA";
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

const pairs = {
  RS256: () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
  EdDSA: () => generateKeyPairSync("ed25519"),
};

/** Makes a fresh pair. */
export const makeSigner = (alg: Signer["alg"] = "EdDSA"): Signer => ({ alg, ...pairs[alg]() });

/** The public half as PEM (SPKI). */
export const publicPem = ({ publicKey }: Signer): string => publicKey.export({ type: "spki", format: "pem" });

/** The public half as an entry of a JWK set. */
export const publicJwk = async (
  { publicKey, alg }: Signer,
  kid: string,
): Promise<Readonly<Record<string, unknown>>> => ({
  ...(await exportJWK(publicKey)),
  kid,
  alg,
  use: "sig",
});

/** Claims of a token; `exp` and the like may be overridden, `undefined` leaves one out. */
export type Claims = Readonly<Record<string, unknown>>;

/** Everything on every subject for an hour. */
export const fullClaims = (claims: Claims = {}): Claims => ({
  iss: issuer,
  aud: audience,
  exp: Math.floor(Date.now() / 1000) + 3600,
  client_id: "tester",
  allowed_subjects: [">"],
  permissions: ["*"],
  ...claims,
});

const sign = (claims: Claims, header: JWTHeaderParameters, key: KeyObject | Uint8Array): Promise<string> => {
  const defined = Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));
  return new SignJWT(defined).setProtectedHeader(header).sign(key);
};

/** A token over the full claims with these in their place. */
export const signToken = (
  { alg, privateKey }: Signer,
  claims: Claims = {},
  header: Readonly<Record<string, unknown>> = {},
): Promise<string> => sign(fullClaims(claims), { alg, ...header }, privateKey);

/** An HS256 token over the full claims with these in their place. */
export const signWithSecret = (secret: string | Uint8Array, claims: Claims = {}): Promise<string> =>
  sign(fullClaims(claims), { alg: "HS256" }, typeof secret === "string" ? new TextEncoder().encode(secret) : secret);

/** A token put together by hand: header and claims as they are, any signature. */
export const rawToken = (header: unknown, claims: unknown, signature = ""): string =>
  [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".") + `.${signature}`;

/** A secret of HS256. */
export const makeSecret = (): string => randomBytes(32).toString("base64url");

/** A folder for keys, removed with `remove()`. */
export const keyFolder = (): { readonly path: string; write(name: string, text: string): string; remove(): void } => {
  const path = mkdtempSync(join(tmpdir(), "mts-keys-"));
  return {
    path,
    write: (name, text) => {
      const file = join(path, name);
      writeFileSync(file, text, { mode: 0o600 });
      return file;
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
};

/** The flags of a server that accepts this signer's tokens; the key is written into the folder. */
export const authFlags = (signer: Signer, folder: ReturnType<typeof keyFolder>): readonly string[] => {
  const key = folder.write(`${signer.alg}.public.pem`, publicPem(signer));
  return ["--auth=jwt", `--auth-public-key=${key}`, `--auth-issuer=${issuer}`, `--auth-audience=${audience}`];
};
