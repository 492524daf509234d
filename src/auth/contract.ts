/**
 * Who calls and what they may do. A transport authenticates a token once, and from then on speaks to the stream
 * through the principal's own broker, which refuses what the token does not grant: no transport checks permissions.
 * @module
 */
import type { Broker } from "../broker/contract.ts";

/** One authenticated caller. */
export interface Principal {
  /** Name in the audit log; `anonymous` where nobody has to say who they are. */
  readonly clientId: string;
  /** Unix milliseconds at which its rights end; `Infinity` without a token. */
  readonly expiresAt: number;
  /**
   * The stream as this caller may use it. Every verb rejects with `permission_denied` for what is not granted (a batch
   * answers it for the single drafts); listings leave out what may not be seen. Without authentication it is the
   * broker itself, so it costs nothing.
   */
  readonly broker: Broker;
}

/** Turns tokens into principals. */
export interface Authenticator {
  /** The caller who shows no token; undefined when one is required. */
  readonly anonymous: Principal | undefined;
  /**
   * Checks a token; answers at once for one that was checked before.
   * @param token the bare token, without `Bearer`
   * @throws StreamError `unauthenticated`, `token_expired`
   */
  authenticate(token: string): Principal | Promise<Principal>;
}
