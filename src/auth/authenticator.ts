/**
 * Makes the authenticator that the configuration asks for. Tokens that were checked are remembered by their hash, so
 * that a caller who shows the same one with every request pays for the signature once a minute.
 * @module
 */
import type { Broker } from "../broker/contract.ts";
import { toStreamError } from "../core/errors.ts";
import { Audit, type AuditLog } from "./audit.ts";
import { AuthorizedBroker } from "./authorized-broker.ts";
import type { AuditChoice, AuthChoice } from "./choice.ts";
import type { Authenticator, Principal } from "./contract.ts";
import { Access, type Grant, tokenExpired } from "./grant.ts";
import { openKeys } from "./keys.ts";
import { type AuthTimers, Lifetime, systemAuthTimers } from "./lifetime.ts";
import { TokenVerifier } from "./verifier.ts";

/** Tokens that are remembered. */
const rememberedMax = 4096;
/** After so long a token is checked again: its key may have been taken out of the set. In milliseconds. */
const trustMs = 60_000;

/** What an authenticator is made of. */
export interface AuthenticatorOptions {
  readonly auth: AuthChoice;
  /** The stream itself. */
  readonly broker: Broker;
  readonly audit: AuditChoice;
  readonly log: AuditLog;
  /** Unix milliseconds. */
  readonly clock?: () => number;
  readonly timers?: AuthTimers;
}

/**
 * Makes an authenticator.
 * @throws AuthSetupError when the keys cannot be used; the message names the file and the fix
 */
export const createAuthenticator = (options: AuthenticatorOptions): Authenticator =>
  options.auth.kind === "none" ? openAuthenticator(options.broker) : new TokenAuthenticator(options, options.auth);

/** Everybody may do everything; what is shown as a token is not looked at. */
export const openAuthenticator = (broker: Broker): Authenticator => {
  const anonymous: Principal = {
    clientId: "anonymous",
    expiresAt: Number.POSITIVE_INFINITY,
    broker,
    publishRefusal: () => undefined,
    adopt: () => undefined,
  };
  return { anonymous, authenticate: () => anonymous };
};

interface Remembered {
  readonly principal: Principal;
  /** Unix milliseconds. */
  trustedUntil: number;
}

class TokenAuthenticator implements Authenticator {
  readonly anonymous = undefined;
  readonly #verifier: TokenVerifier;
  readonly #broker: Broker;
  readonly #audit: Audit;
  readonly #nowMs: () => number;
  readonly #timers: AuthTimers;
  /** By hash, the one that was used longest ago first. */
  readonly #remembered = new Map<string, Remembered>();
  /** Tokens that are being checked, so that a burst of requests checks them once. */
  readonly #pending = new Map<string, Promise<Principal>>();

  constructor(
    { broker, audit, log, clock = Date.now, timers = systemAuthTimers }: AuthenticatorOptions,
    auth: Extract<AuthChoice, { kind: "jwt" }>,
  ) {
    this.#verifier = new TokenVerifier(openKeys(auth.key, auth.algorithms), auth, clock);
    this.#broker = broker;
    this.#audit = new Audit(audit, log, clock);
    this.#nowMs = clock;
    this.#timers = timers;
  }

  authenticate(token: string): Principal | Promise<Principal> {
    const hash = hashOf(token);
    const known = this.#remembered.get(hash);
    if (known !== undefined) {
      const nowMs = this.#nowMs();
      if (nowMs < known.trustedUntil) {
        if (this.#remembered.size > rememberedMax / 2) {
          // Behind all others: what stands in front is the first to be forgotten.
          this.#remembered.delete(hash);
          this.#remembered.set(hash, known);
        }
        return known.principal;
      }
    }
    const pending = this.#pending.get(hash) ?? this.#check(hash, token, known?.principal);
    this.#pending.set(hash, pending);
    return pending;
  }

  async #check(hash: string, token: string, known: Principal | undefined): Promise<Principal> {
    try {
      const grant = await this.#verifier.verify(token);
      const principal = known ?? this.#principal(grant);
      this.#remember(hash, principal);
      if (known === undefined) this.#audit.tell({ client: grant.clientId, verb: "authenticate", outcome: "ok" });
      return principal;
    } catch (thrown) {
      const error = toStreamError(thrown);
      // Keys that cannot be fetched for a moment do not make a token worse that was good a minute ago.
      if (error.code === "unavailable" && known !== undefined && known.expiresAt > this.#nowMs()) return known;
      this.#remembered.delete(hash);
      this.#audit.tell({ client: known?.clientId, verb: "authenticate", outcome: error.code });
      throw error;
    } finally {
      this.#pending.delete(hash);
    }
  }

  #principal(grant: Grant): Principal {
    const lifetime = new Lifetime(grant.expiresAt, this.#nowMs, this.#timers);
    const broker = new AuthorizedBroker(this.#broker, new Access(grant), lifetime, this.#audit);
    return {
      clientId: grant.clientId,
      expiresAt: grant.expiresAt,
      broker,
      publishRefusal: (subject) => broker.publishRefusal(subject),
      adopt: (subscription) => broker.adopt(subscription),
    };
  }

  #remember(hash: string, principal: Principal): void {
    const nowMs = this.#nowMs();
    if (principal.expiresAt <= nowMs) throw tokenExpired();
    this.#remembered.delete(hash);
    const [oldest] = this.#remembered.keys();
    if (this.#remembered.size >= rememberedMax && oldest !== undefined) this.#remembered.delete(oldest);
    this.#remembered.set(hash, { principal, trustedUntil: Math.min(nowMs + trustMs, principal.expiresAt) });
  }
}

/** Tokens themselves are not kept in memory longer than a request. */
const hashOf = (token: string): string => Bun.SHA256.hash(token, "base64");
