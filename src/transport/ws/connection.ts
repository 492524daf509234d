/**
 * One open socket: what it asked for and waits for, its subscriptions, and how it ends. Frames come in through
 * `receive`; the operations themselves are in `ops/`.
 * @module
 */
import type { ServerWebSocket } from "bun";
import type { Principal } from "../../auth/contract.ts";
import type { Broker, Subscription } from "../../broker/contract.ts";
import { errorView, type View } from "../../codec/view.ts";
import { StreamError, toStreamError } from "../../core/errors.ts";
import { pushPauseBytes } from "../../core/limits.ts";
import { Caller } from "./caller.ts";
import { type Close, closes } from "./close-codes.ts";
import type { ConnectionContext } from "./context.ts";
import { parseFrame, readableId } from "./frames.ts";
import { perform } from "./ops/index.ts";
import { Outbox } from "./outbox.ts";
import type { FrameId, Protocol } from "./protocol.ts";

/** About what an answer without messages takes. */
const replyBytes = 160;

/** One connection; without a principal its client has to show a token first. All state is touched in its own turn only; nothing here waits. */
export class Connection {
  readonly outbox: Outbox;
  readonly caller: Caller;
  /** Set when a frame, a pong or progress in sending shows that the client lives; cleared by the heartbeat. */
  alive = true;
  /** Pings that were not answered. */
  silentPings = 0;
  readonly #subscriptions = new Map<number, Subscription | undefined>();
  /** Subscriptions that were told that there is no room. */
  readonly #paused = new Set<number>();
  /** Waits that end when the connection does. */
  readonly #waits = new Set<AbortController>();
  #lastSid = 0;
  #requests = 0;
  #requestBytes = 0;
  #open = true;

  constructor(
    private readonly socket: ServerWebSocket<unknown>,
    private readonly protocol: Protocol,
    readonly context: ConnectionContext,
    principal: Principal | undefined,
  ) {
    this.outbox = new Outbox(socket, protocol, {
      unsentBytesMax: context.limits.unsentBytesMax,
      // Not at once: this may run inside Bun's drain, where a close is not safe.
      overflowed: () => setImmediate(() => this.close(closes.tooSlow)),
      written: () => this.resume(),
      sent: (bytes) => context.metrics.sent(bytes),
    });
    this.caller = new Caller(this, principal);
  }

  /** The stream as the caller may use it. @throws StreamError `unauthenticated` */
  get broker(): Broker {
    return this.caller.broker;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** Requests that wait for their answer. */
  get requests(): number {
    return this.#requests;
  }

  /** Takes one frame. Never throws. */
  receive(frame: string | Buffer): void {
    if (!this.#open) return;
    this.alive = true;
    this.context.metrics.received(frame.length);
    if ((typeof frame !== "string") !== this.protocol.binary) {
      this.close(closes.wrongFrameType);
      return;
    }
    if (!this.caller.passes(frame)) return;
    let raw: unknown;
    try {
      raw = this.protocol.decode(frame);
    } catch {
      this.close(closes.unreadable);
      return;
    }
    try {
      if (this.context.stopping()) throw new StreamError("shutting_down", "The server is stopping; connect again.");
      const request = parseFrame(raw);
      this.context.metrics.requested(request.op);
      this.caller.checkOp(request.op);
      perform(this, request, frame.length);
    } catch (error) {
      this.fail(readableId(raw), error);
      this.caller.wrongFrame();
    }
  }

  /** Answers with a map; `id` comes right behind `op`, left out when undefined. */
  reply(op: string, id: FrameId | undefined, fields: View): void {
    this.outbox.push({ kind: "map", fields: { op, id, ...fields } }, replyBytes);
  }

  /** Answers with an error. Only what is not a `StreamError` of the contract is logged. */
  fail(id: FrameId | undefined, thrown: unknown, sid?: number): void {
    const error = toStreamError(thrown);
    this.context.metrics.failed(error.code);
    if (error.code === "internal") this.context.log.error("ws_request_failed", { cause: error.cause ?? error });
    this.outbox.push({ kind: "map", fields: { op: "error", id, sid, ...errorView(error) } }, replyBytes);
  }

  /**
   * Counts a request that is not answered at once.
   * @throws StreamError `overloaded` when too many wait already
   */
  begin(bytes: number): void {
    const { requestsMax, requestBytesMax } = this.context.limits;
    if (this.#requests >= requestsMax || (this.#requests > 0 && this.#requestBytes + bytes > requestBytesMax)) {
      throw new StreamError("overloaded", "Too many requests of this connection wait for their answers.");
    }
    if (!this.context.budget.take(bytes, this.#requestBytes)) {
      throw new StreamError("overloaded", "Too many bytes are under way; try again a little later.");
    }
    this.#requests++;
    this.#requestBytes += bytes;
  }

  /** The request goes on without the bytes of its frame; its end is `end(0)` then. */
  letGo(bytes: number): void {
    this.#requestBytes -= bytes;
    this.context.budget.release(bytes);
  }

  /** The request was answered. */
  end(bytes: number): void {
    this.#requests--;
    this.letGo(bytes);
  }

  /** Runs a request that is not answered at once; what it throws is answered as an error. */
  run(id: FrameId | undefined, bytes: number, work: () => Promise<void>): void {
    this.begin(bytes);
    work()
      .catch((error: unknown) => this.fail(id, error))
      .finally(() => this.end(bytes))
      .catch((error: unknown) => this.context.log.error("ws_reply_failed", { cause: error }));
  }

  /** Runs work with a signal that is aborted when the connection ends. */
  async waiting<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    this.#waits.add(controller);
    try {
      return await work(controller.signal);
    } finally {
      this.#waits.delete(controller);
    }
  }

  /**
   * Takes the place of a new subscription.
   * @throws StreamError `too_many_subscriptions`
   */
  reserveSubscription(): number {
    const { subscriptionsMax } = this.context.limits;
    if (this.#subscriptions.size >= subscriptionsMax) {
      throw new StreamError("too_many_subscriptions", `A connection has at most ${subscriptionsMax} subscriptions.`);
    }
    this.#subscriptions.set(++this.#lastSid, undefined);
    return this.#lastSid;
  }

  /** Puts a subscription into its reserved place; false when it is no longer wanted. */
  adoptSubscription(sid: number, subscription: Subscription): boolean {
    if (!this.#subscriptions.has(sid)) return false;
    this.#subscriptions.set(sid, subscription);
    return true;
  }

  /** Forgets a subscription, or the place reserved for one. */
  dropSubscription(sid: number): void {
    this.#subscriptions.delete(sid);
    this.#paused.delete(sid);
  }

  /** A running subscription. */
  subscription(sid: number): Subscription | undefined {
    return this.#subscriptions.get(sid);
  }

  /** Runs them on with the rights of a newer token; those that it does not grant end. */
  renewSubscriptions(principal: Principal): void {
    for (const subscription of this.#subscriptions.values()) {
      if (subscription !== undefined) principal.adopt(subscription);
    }
  }

  /** The broker ended it. */
  subscriptionEnded(sid: number, error: StreamError): void {
    if (!this.#subscriptions.has(sid)) return;
    this.dropSubscription(sid);
    this.fail(undefined, error, sid);
  }

  /** Whether a push may go out now; a subscription that hears no is resumed later. */
  roomForPushes(sid: number): boolean {
    if (this.#open && this.outbox.unsentBytes <= pushPauseBytes) return true;
    this.#paused.add(sid);
    return false;
  }

  /** Goes on with paused subscriptions when there is room again. */
  resume(): void {
    if (this.#paused.size === 0 || this.outbox.unsentBytes > pushPauseBytes) return;
    const paused = [...this.#paused];
    this.#paused.clear();
    for (const sid of paused) this.#subscriptions.get(sid)?.resume();
  }

  /** The socket sent some of what it held. */
  drained(): void {
    this.alive = true;
    this.resume();
  }

  /** Sends a ping. */
  ping(): void {
    this.socket.ping();
  }

  /** Ends the connection from this side; what is queued is still sent. Not to be called inside Bun's drain. */
  close({ code, reason }: Close): void {
    if (this.#open) this.outbox.flush();
    this.release();
    this.socket.close(code, reason);
  }

  /** Lets go of everything; also when the client was the one to end it. */
  release(): void {
    if (!this.#open) return;
    this.#open = false;
    this.caller.release();
    this.outbox.close();
    for (const subscription of this.#subscriptions.values()) subscription?.close();
    this.#subscriptions.clear();
    this.#paused.clear();
    for (const controller of this.#waits) controller.abort();
    this.#waits.clear();
  }
}
