/**
 * Checks a token with `jose`: one of the listed algorithms, a configured key, issuer, audience, expiry, not-before.
 * Keys that a token brings along (`jwk`, `jku`, `x5c`, `x5u`) are never looked at, and one with unknown `crit` headers
 * is refused.
 * @module
 */
import type { KeyObject } from "node:crypto";
import { type CryptoKey, decodeProtectedHeader, errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from "jose";
import { StreamError } from "../core/errors.ts";
import { tokenBytesMax } from "../core/limits.ts";
import type { JwtChoice } from "./choice.ts";
import { grantFrom } from "./claims.ts";
import { type Grant, tokenExpired } from "./grant.ts";
import { type KeySource, keyFits } from "./keys.ts";

/** Clocks of issuers may be ahead by so much, in seconds: `nbf` lies in the future then. Expiry is to the millisecond. */
const clockToleranceSeconds = 5;

/** Checks tokens. */
export class TokenVerifier {
  readonly #keys: KeySource;
  readonly #choice: Omit<JwtChoice, "key" | "kind">;
  readonly #nowMs: () => number;

  /** @param nowMs Unix milliseconds */
  constructor(keys: KeySource, choice: Omit<JwtChoice, "key" | "kind">, nowMs: () => number) {
    this.#keys = keys;
    this.#choice = choice;
    this.#nowMs = nowMs;
  }

  /** @throws StreamError `unauthenticated`, `token_expired`, `unavailable`; no detail repeats anything of the token */
  async verify(token: string): Promise<Grant> {
    const grant = grantFrom(await this.claims(token));
    if (grant.expiresAt <= this.#nowMs()) throw tokenExpired();
    return grant;
  }

  /** The claims of a token whose signature, issuer, audience and times are right. @throws as `verify` */
  async claims(token: string): Promise<JWTPayload> {
    if (token.length > tokenBytesMax) throw invalid(`it is longer than ${tokenBytesMax} bytes`);
    try {
      return await this.#check(token);
    } catch (thrown) {
      throw refusal(thrown);
    }
  }

  async #check(token: string): Promise<JWTPayload> {
    const options: JWTVerifyOptions = {
      algorithms: [...this.#choice.algorithms],
      issuer: this.#choice.issuer,
      audience: this.#choice.audience,
      requiredClaims: ["exp"],
      clockTolerance: clockToleranceSeconds,
      currentDate: new Date(this.#nowMs()),
    };
    if (this.#keys.kind === "set") return this.#checkWithSet(token, this.#keys, options);
    const { alg } = decodeProtectedHeader(token);
    const keys = this.#keys.keys.filter((key) => keyFits(key, alg));
    if (keys.length === 0) throw new errors.JOSEAlgNotAllowed();
    return firstThatFits(token, keys, options);
  }

  async #checkWithSet(
    token: string,
    { find }: Extract<KeySource, { kind: "set" }>,
    options: JWTVerifyOptions,
  ): Promise<JWTPayload> {
    try {
      return (await jwtVerify(token, find, options)).payload;
    } catch (thrown) {
      // The token does not say which of several keys it was signed with.
      if (!(thrown instanceof errors.JWKSMultipleMatchingKeys)) throw thrown;
      const keys: CryptoKey[] = [];
      for await (const key of thrown) keys.push(key);
      return firstThatFits(token, keys, options);
    }
  }
}

/** Tries the keys in turn; only a wrong signature leads to the next. */
const firstThatFits = async (
  token: string,
  keys: readonly (CryptoKey | KeyObject)[],
  options: JWTVerifyOptions,
): Promise<JWTPayload> => {
  let failure: unknown = new errors.JWSSignatureVerificationFailed();
  for (const key of keys) {
    try {
      return (await jwtVerify(token, key, options)).payload;
    } catch (thrown) {
      failure = thrown;
      if (!(thrown instanceof errors.JWSSignatureVerificationFailed)) break;
    }
  }
  throw failure;
};

/** The error as a caller sees it: enough to put right what is wrong, nothing that was in the token. */
const refusal = (thrown: unknown): StreamError => {
  if (thrown instanceof StreamError) return thrown;
  if (thrown instanceof errors.JWTExpired) return tokenExpired();
  if (thrown instanceof errors.JWTClaimValidationFailed) {
    if (thrown.claim === "iss") return invalid("its issuer (iss) is another one");
    if (thrown.claim === "aud") return invalid("its audience (aud) is another one");
    if (thrown.claim === "exp") return invalid("it has no expiry (exp) in seconds");
    if (thrown.claim === "nbf") return invalid("it is not valid yet (nbf)");
    return invalid("one of its claims is wrong");
  }
  if (thrown instanceof errors.JOSEAlgNotAllowed) return invalid("its algorithm (alg) is not accepted here");
  if (thrown instanceof errors.JWSSignatureVerificationFailed) return invalid("its signature is wrong");
  if (thrown instanceof errors.JWKSNoMatchingKey) return invalid("it was signed with a key that is unknown here");
  return invalid("it is no signed token (JWT)");
};

const invalid = (why: string): StreamError => new StreamError("unauthenticated", `The token is invalid: ${why}.`);
