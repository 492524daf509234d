/**
 * Who is at the other end of one connection: nobody yet, then a principal, later the same client with a newer token.
 * @module
 */
import type { Principal } from "../../auth/contract.ts";
import type { Broker } from "../../broker/contract.ts";
import { StreamError } from "../../core/errors.ts";
import { closes } from "./close-codes.ts";
import type { Connection } from "./connection.ts";
import type { Op } from "./frames.ts";
import { Gate } from "./gate.ts";
import type { FrameId } from "./protocol.ts";

const tokenFirst = (): StreamError => new StreamError("unauthenticated", "Send a token first, as {op: auth, token}.");

/** The caller of one connection. */
export class Caller {
  /** Undefined until it is known; from then on there is no gate. */
  #principal: Principal | undefined;
  #gate: Gate | undefined;
  /** A token is being looked at. */
  #checking = false;

  /** @param principal undefined when the upgrade had no token and one is required */
  constructor(
    private readonly connection: Connection,
    principal: Principal | undefined,
  ) {
    if (principal !== undefined) this.#become(principal);
    else {
      const { timers, unknown } = connection.context;
      this.#gate = new Gate((close) => connection.close(close), timers);
      unknown.add(connection);
    }
  }

  /** The stream as the caller may use it. @throws StreamError `unauthenticated` */
  get broker(): Broker {
    if (this.#principal !== undefined) return this.#principal.broker;
    throw tokenFirst();
  }

  /** Unix milliseconds at which its rights end. */
  get expiresAt(): number {
    return this.#principal?.expiresAt ?? Number.POSITIVE_INFINITY;
  }

  /** Whether a frame may be read now; one that comes behind a first token is read when that was looked at. */
  passes(frame: string | Buffer): boolean {
    return this.#gate === undefined || this.#gate.passes(frame);
  }

  /** @throws StreamError `unauthenticated` for any operation but `auth` while nobody is known */
  checkOp(op: Op): void {
    if (this.#principal === undefined && op !== "auth") throw tokenFirst();
  }

  /** A frame was answered with an error at once. */
  wrongFrame(): void {
    this.#gate?.wrongFrame();
  }

  /** Looks at the token of an `auth` frame. @throws StreamError `overloaded` while another one is looked at */
  show(token: string, id: FrameId | undefined, bytes: number): void {
    const { connection } = this;
    if (this.#checking) throw new StreamError("overloaded", "Another token of this connection is being looked at.");
    const gate = this.#gate;
    connection.begin(bytes);
    this.#checking = true;
    gate?.check();
    this.#authenticate(token, id)
      .catch((error: unknown) => {
        connection.fail(id, error);
        gate?.wrongFrame();
      })
      .finally(() => {
        this.#checking = false;
        connection.end(bytes);
        for (const frame of gate?.release() ?? []) connection.receive(frame);
      })
      .catch((error: unknown) => connection.context.log.error("ws_reply_failed", { cause: error }));
  }

  /** Says who the caller is taken for. */
  answer({ clientId, expiresAt }: Principal, id: FrameId | undefined): void {
    const until = Number.isFinite(expiresAt) ? expiresAt : null;
    this.connection.reply("authenticated", id, { client_id: clientId, expires_at: until });
  }

  /** The rights have ended. */
  expire(): void {
    this.connection.fail(undefined, new StreamError("token_expired", "The token has expired; connect with a new one."));
    this.connection.close(closes.expired);
  }

  /** Lets go of everything. */
  release(): void {
    const { expiry, unknown } = this.connection.context;
    this.#gate?.end();
    unknown.delete(this.connection);
    expiry.remove(this.connection);
  }

  async #authenticate(token: string, id: FrameId | undefined): Promise<void> {
    const { connection } = this;
    const principal = await connection.context.authenticator.authenticate(token);
    if (!connection.isOpen) return;
    const before = this.#principal;
    if (before === undefined) {
      this.#become(principal);
      connection.context.welcome(connection);
    } else this.#renew(before, principal);
    this.answer(principal, id);
  }

  #become(principal: Principal): void {
    this.release();
    this.#principal = principal;
    this.#gate = undefined;
    this.connection.context.expiry.add(this.connection, principal.expiresAt);
  }

  /** @throws StreamError `permission_denied` for the token of another client */
  #renew(before: Principal, principal: Principal): void {
    if (principal.clientId !== before.clientId) {
      throw new StreamError("permission_denied", "This connection belongs to another client; open one for this token.");
    }
    if (principal === before) return;
    this.#become(principal);
    this.connection.renewSubscriptions(principal);
  }
}
