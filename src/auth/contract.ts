/**
 * Who calls and what they may do. A transport authenticates a token once, and from then on speaks to the stream
 * through the principal's own broker, which refuses what the token does not grant: no transport checks permissions.
 * @module
 */
import type { Broker, Subscription } from "../broker/contract.ts";
import type { StreamError } from "../core/errors.ts";
import type { Subject } from "../core/subject.ts";

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
  /**
   * Why this caller may not publish to the subject, or undefined when it may. `broker.publish` refuses all the same;
   * a transport asks first only where it would otherwise take in and store a large body for nothing.
   */
  publishRefusal(subject: Subject): StreamError | undefined;
  /**
   * Takes over a running subscription that was started through another principal's broker, when one connection shows a
   * newer token: from now on it ends with this principal's rights. One that they do not grant ends at once, with
   * `permission_denied` to its sink.
   */
  adopt(subscription: Subscription): void;
}

/** Turns tokens into principals. */
export interface Authenticator {
  /** The caller who shows no token; undefined when one is required. */
  readonly anonymous: Principal | undefined;
  /**
   * Checks a token; answers at once for one that was checked before.
   * @param token the bare token, without `Bearer`
   * @throws StreamError `unauthenticated`, `token_expired`, `unavailable` when the keys cannot be fetched
   */
  authenticate(token: string): Principal | Promise<Principal>;
}
