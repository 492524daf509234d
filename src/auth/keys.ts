/**
 * The keys that tokens are checked with: PEM files, JWK sets from a file or a URL, or a shared secret.
 * @module
 */
import { createPublicKey, createSecretKey, type KeyObject } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { createLocalJWKSet, createRemoteJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import { StreamError } from "../core/errors.ts";
import type { AuthKeyChoice, TokenAlgorithm } from "./choice.ts";

/** The keys cannot be used; the message names the setting's file or URL and the fix. */
export class AuthSetupError extends Error {
  override readonly name = "AuthSetupError";
}

/** Where `jose` gets a key from; several keys are tried one after the other. */
export type KeySource =
  | { readonly kind: "fixed"; readonly keys: readonly KeyObject[] }
  | { readonly kind: "set"; readonly find: JWTVerifyGetKey };

/** Least bytes of an HS256 secret (RFC 7518 3.2). */
const secretBytesMin = 32;
/** Least bits of an RSA key (RFC 7518 3.3). */
const rsaBitsMin = 2048;
/** A set is fetched again at most this often when a token names an unknown key, and used for so long at most. */
const jwksCooldownMs = 30_000;
const jwksAgeMsMax = 600_000;
const jwksTimeoutMs = 5000;
/** Pause after a fetch that failed. */
const jwksRetryMs = 1000;

/**
 * Opens the source of keys.
 * @throws AuthSetupError
 */
export const openKeys = (choice: AuthKeyChoice, algorithms: readonly TokenAlgorithm[]): KeySource => {
  switch (choice.kind) {
    case "public_key":
      return { kind: "fixed", keys: publicKeys(readText(choice.path), choice.path, algorithms) };
    case "secret":
      return { kind: "fixed", keys: [secretKey(choice.secret, "the secret")] };
    case "secret_file":
      return { kind: "fixed", keys: [secretKey(readText(choice.path).replace(/\r?\n$/, ""), choice.path)] };
    case "jwks_file":
      return { kind: "set", find: fileSet(choice.path) };
    case "jwks_url":
      return {
        kind: "set",
        find: remoteSet(choice.url),
      };
  }
};

const readText = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    throw new AuthSetupError(`${path} cannot be read; name a file that is there and that the server may read`);
  }
};

const secretKey = (secret: string, where: string): KeyObject => {
  if (Buffer.byteLength(secret) < secretBytesMin) {
    throw new AuthSetupError(
      `${where} has fewer than ${secretBytesMin} bytes; make one with minitoolstream token keygen --algorithm HS256`,
    );
  }
  return createSecretKey(secret, "utf8");
};

const pemBlock = /-----BEGIN ([A-Z ]+)-----([A-Za-z0-9+/=\s]+)-----END \1-----/g;

/**
 * All public keys of a PEM file.
 * @throws AuthSetupError when there is none, or one that fits none of the algorithms
 */
export const publicKeys = (text: string, path: string, algorithms: readonly TokenAlgorithm[]): readonly KeyObject[] => {
  const keys = [...text.matchAll(pemBlock)].map(([, label = "", base64 = ""]) => publicKey(label, base64, path));
  if (keys.length === 0) {
    throw new AuthSetupError(`${path} has no public key; it must be PEM, beginning with -----BEGIN PUBLIC KEY-----`);
  }
  for (const key of keys) {
    const algorithm = algorithmOf(key);
    if (algorithm !== undefined && algorithms.includes(algorithm)) continue;
    throw new AuthSetupError(
      `${path} has a key that fits none of ${algorithms.join(", ")}; use RSA of ${rsaBitsMin} bits or more, P-256 or Ed25519`,
    );
  }
  return keys;
};

const publicKey = (label: string, base64: string, path: string): KeyObject => {
  if (label.includes("PRIVATE")) {
    throw new AuthSetupError(`${path} has a private key; the server needs the public one only, keep the other away`);
  }
  const key = Buffer.from(base64, "base64");
  // The label says PKCS#1, but tools were seen that write SPKI under it.
  const types = label === "PUBLIC KEY" ? (["spki"] as const) : (["pkcs1", "spki"] as const);
  for (const type of label.endsWith("PUBLIC KEY") ? types : []) {
    try {
      return createPublicKey({ key, format: "der", type });
    } catch {
      // The other reading, if there is one.
    }
  }
  throw new AuthSetupError(`${path} has a ${label} that cannot be read as a public key`);
};

/** The algorithm that a public or private key signs with, or undefined. */
export const algorithmOf = (key: KeyObject): TokenAlgorithm | undefined => {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === "rsa") return (details?.modulusLength ?? 0) >= rsaBitsMin ? "RS256" : undefined;
  if (type === "ec") return details?.namedCurve === "prime256v1" ? "ES256" : undefined;
  return type === "ed25519" ? "EdDSA" : undefined;
};

/** Whether a key can have made a signature of this algorithm. */
export const keyFits = (key: KeyObject, algorithm: string | undefined): boolean =>
  key.type === "secret" ? algorithm === "HS256" : algorithmOf(key) === algorithm;

/** A set behind a URL. Whoever sends tokens must not make the server ask for it as often as they like. */
const remoteSet = (url: string): JWTVerifyGetKey => {
  const remote = createRemoteJWKSet(new URL(url), {
    cooldownDuration: jwksCooldownMs,
    cacheMaxAge: jwksAgeMsMax,
    timeoutDuration: jwksTimeoutMs,
  });
  let failure: { readonly error: StreamError; readonly untilMs: number } | undefined;
  return async (header, token) => {
    if (failure !== undefined && performance.now() < failure.untilMs) throw failure.error;
    try {
      return await remote(header, token);
    } catch (thrown) {
      // What the token asks for is not there: its own fault. Everything else is the set's.
      if (thrown instanceof errors.JWKSNoMatchingKey || thrown instanceof errors.JWKSMultipleMatchingKeys) throw thrown;
      if (thrown instanceof errors.JOSENotSupported) throw thrown;
      const detail = "The keys that tokens are checked with cannot be fetched; try again later.";
      const error = new StreamError("unavailable", detail, {}, thrown);
      failure = { error, untilMs: performance.now() + jwksRetryMs };
      throw error;
    }
  };
};

/** A set in a file, read again when the file has changed; a broken new one leaves the old in force. */
const fileSet = (path: string): JWTVerifyGetKey => {
  let changedMs = changeTime(path);
  let current = parseSet(readText(path), path);
  return (header, token) => {
    const nowMs = changeTime(path);
    if (nowMs !== changedMs) {
      changedMs = nowMs;
      try {
        current = parseSet(readText(path), path);
      } catch {
        // Half written, most likely: its next change is looked at again.
      }
    }
    return current(header, token);
  };
};

const changeTime = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

const parseSet = (text: string, path: string): JWTVerifyGetKey => {
  try {
    const document: unknown = JSON.parse(text);
    if (isKeySet(document)) return createLocalJWKSet(document);
  } catch {
    // Said below, without quoting what may be a key.
  }
  throw new AuthSetupError(`${path} is no JWK set; it must be JSON such as {"keys": [...]}`);
};

const isKeySet = (document: unknown): document is JSONWebKeySet =>
  typeof document === "object" && document !== null && "keys" in document && Array.isArray(document.keys);
