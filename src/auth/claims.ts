/**
 * The claims of a verified token, read into a grant. Signature, issuer, audience and times were checked before.
 * @module
 */
import { StreamError } from "../core/errors.ts";
import { clientIdCharsMax } from "../core/limits.ts";
import { parseFilter, type SubjectFilter } from "../core/subject.ts";
import { allPermissions, type Grant, type Permission } from "./grant.ts";

/** The latest time that a `Date` knows. */
const timeMsMax = 8.64e15;

/**
 * Reads the claims: `exp` and `client_id` are needed; `allowed_subjects` and `permissions` grant nothing when they are
 * left out; a claim of the wrong type makes the whole token invalid, so that no typing error ever widens it.
 * @throws StreamError `unauthenticated`, which names the claim and never repeats it
 */
export const grantFrom = (claims: Readonly<Record<string, unknown>>): Grant => {
  const { exp, client_id: clientId, admin = false } = claims;
  if (typeof exp !== "number") throw invalidClaim("exp", "must be a time in seconds");
  if (typeof clientId !== "string" || clientId === "" || clientId.length > clientIdCharsMax) {
    throw invalidClaim("client_id", `must be a text of 1 to ${clientIdCharsMax} characters`);
  }
  if (typeof admin !== "boolean") throw invalidClaim("admin", "must be true or false");
  return {
    clientId,
    expiresAt: Math.min(exp * 1000, timeMsMax),
    allowed: filtersOf("allowed_subjects", claims),
    denied: filtersOf("deny_subjects", claims),
    permissions: permissionsOf(claims),
    admin,
  };
};

/** A claim that is a list of texts; null and a missing one are empty. */
const textsOf = (name: string, claims: Readonly<Record<string, unknown>>): readonly string[] => {
  const value = claims[name] ?? [];
  if (!Array.isArray(value) || !value.every((entry) => typeof entry === "string")) {
    throw invalidClaim(name, "must be a list of texts");
  }
  return value;
};

const filtersOf = (name: string, claims: Readonly<Record<string, unknown>>): readonly SubjectFilter[] =>
  textsOf(name, claims).map((text) => {
    // Tokens of older clients: a lone star is every subject, where a filter would mean those of one word.
    if (text === "*") return parseFilter(">");
    try {
      return parseFilter(text);
    } catch {
      throw invalidClaim(name, "has an entry that is no filter of subjects");
    }
  });

/** Words that are unknown here grant nothing; a newer issuer may write them. */
const permissionsOf = (claims: Readonly<Record<string, unknown>>): ReadonlySet<Permission> => {
  const words = textsOf("permissions", claims);
  return new Set(words.includes("*") ? allPermissions : allPermissions.filter((word) => words.includes(word)));
};

const invalidClaim = (name: string, what: string): StreamError =>
  new StreamError("unauthenticated", `The token is invalid: its claim ${name} ${what}.`);
