/**
 * How callers are known, as the configuration says it; paths are absolute. Shapes only.
 * @module
 */

/** How a token may be signed. */
export type TokenAlgorithm = "RS256" | "ES256" | "EdDSA" | "HS256";

/** Where the key comes from that tokens are checked with. */
export type AuthKeyChoice =
  | { readonly kind: "public_key"; readonly path: string }
  | { readonly kind: "jwks_url"; readonly url: string }
  | { readonly kind: "jwks_file"; readonly path: string }
  | { readonly kind: "secret"; readonly secret: string }
  | { readonly kind: "secret_file"; readonly path: string };

/** What a token must satisfy. */
export interface JwtChoice {
  readonly kind: "jwt";
  /** Either HS256 alone or none of it: the two kinds of keys never mix. */
  readonly algorithms: readonly TokenAlgorithm[];
  readonly issuer: string;
  readonly audience: string;
  readonly key: AuthKeyChoice;
}

/** How callers are known. */
export type AuthChoice = { readonly kind: "none" } | JwtChoice;

/** Which events the audit log is told beside refusals; `off` leaves those out too. */
export type AuditChoice = "off" | "changes" | "all";
