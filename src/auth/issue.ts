/**
 * The other side of authentication, for the command line: makes keys, signs tokens, and says what is in one. The server
 * itself never signs.
 * @module
 */
import {
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from "node:crypto";
import { decodeJwt, decodeProtectedHeader, type JWTPayload, SignJWT } from "jose";
import type { TokenAlgorithm } from "./choice.ts";
import { AuthSetupError, algorithmOf, publicKeys } from "./keys.ts";
import { TokenVerifier } from "./verifier.ts";

/** Every algorithm that keys can be made for. */
export const tokenAlgorithms: readonly TokenAlgorithm[] = ["EdDSA", "ES256", "RS256", "HS256"];

/** Fresh keys as the texts of their files. */
export type KeyTexts =
  | { readonly kind: "pair"; readonly privatePem: string; readonly publicPem: string }
  | { readonly kind: "secret"; readonly secret: string };

/** Makes keys of an algorithm. */
export const makeKeys = (algorithm: TokenAlgorithm): KeyTexts => {
  // 256 bits, and only characters that survive a shell and a configuration file.
  if (algorithm === "HS256") return { kind: "secret", secret: randomBytes(32).toString("base64url") };
  const { privateKey, publicKey } = makePair(algorithm);
  return {
    kind: "pair",
    privatePem: privateKey.export({ type: "pkcs8", format: "pem" }),
    publicPem: publicKey.export({ type: "spki", format: "pem" }),
  };
};

const makePair = (algorithm: Exclude<TokenAlgorithm, "HS256">): { privateKey: KeyObject; publicKey: KeyObject } => {
  switch (algorithm) {
    case "RS256":
      return generateKeyPairSync("rsa", { modulusLength: 3072 });
    case "ES256":
      return generateKeyPairSync("ec", { namedCurve: "P-256" });
    case "EdDSA":
      return generateKeyPairSync("ed25519");
  }
};

/** A key that signs, and how. */
export interface SigningKey {
  readonly algorithm: TokenAlgorithm;
  readonly key: KeyObject;
}

/** @throws AuthSetupError, which names the file */
export const readPrivateKey = (pem: string, path: string): SigningKey => {
  if (/-----BEGIN [A-Z ]*PUBLIC KEY-----/.test(pem) && !pem.includes("PRIVATE")) {
    throw new AuthSetupError(`${path} is a public key; tokens are signed with the private one`);
  }
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    throw new AuthSetupError(`${path} is no private key in PEM without a password`);
  }
  const algorithm = algorithmOf(key);
  if (algorithm === undefined) {
    throw new AuthSetupError(`${path} is of no kind that signs tokens; use RSA of 2048 bits or more, P-256 or Ed25519`);
  }
  return { algorithm, key };
};

/** @throws AuthSetupError when the secret is too short */
export const readSecret = (text: string, path: string): SigningKey => {
  const secret = text.replace(/\r?\n$/, "");
  if (Buffer.byteLength(secret) < 32) {
    throw new AuthSetupError(`${path} has fewer than 32 bytes; make a secret with token keygen --algorithm HS256`);
  }
  return { algorithm: "HS256", key: createSecretKey(secret, "utf8") };
};

/** Signs claims as they are. */
export const signClaims = (claims: JWTPayload, { algorithm, key }: SigningKey): Promise<string> =>
  new SignJWT(claims).setProtectedHeader({ alg: algorithm, typ: "JWT" }).sign(key);

/** What a token says of itself, believed or not; undefined when it is none. */
export const readToken = (token: string): { readonly algorithm: string; readonly claims: JWTPayload } | undefined => {
  try {
    return { algorithm: String(decodeProtectedHeader(token).alg), claims: decodeJwt(token) };
  } catch {
    return undefined;
  }
};

/** What a token is checked with. */
export interface CheckOptions {
  readonly keys: readonly SigningKey[];
  readonly issuer: string;
  readonly audience: string;
  /** Unix milliseconds. */
  readonly nowMs: number;
}

/** Checks a token as a server would. @throws StreamError `unauthenticated`, `token_expired` */
export const checkToken = async (token: string, { keys, issuer, audience, nowMs }: CheckOptions): Promise<void> => {
  const source = { kind: "fixed", keys: keys.map(({ key }) => key) } as const;
  const algorithms = [...new Set(keys.map(({ algorithm }) => algorithm))];
  await new TokenVerifier(source, { algorithms, issuer, audience }, () => nowMs).verify(token);
};

/** The keys to check with, out of a PEM file with public keys or the private one. @throws AuthSetupError */
export const readCheckingKeys = (pem: string, path: string): readonly SigningKey[] => {
  if (pem.includes("PRIVATE")) {
    const { algorithm, key } = readPrivateKey(pem, path);
    return [{ algorithm, key: createPublicKey(key) }];
  }
  return publicKeys(pem, path, tokenAlgorithms).flatMap((key) => {
    const algorithm = algorithmOf(key);
    return algorithm === undefined ? [] : [{ algorithm, key }];
  });
};
