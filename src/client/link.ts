/**
 * Keeps a session: connects, reconnects with growing pauses, and gives up when the server says so. Calls that may be
 * repeated outlive the session they began on.
 * @module
 */
import type { Environment } from "./environment.ts";
import { closed, EpochChangedError, isPassing, MtsError, outcomeUnknown, overloaded, toMtsError } from "./errors.ts";
import type { HttpSide } from "./http.ts";
import type { CallOptions, ConnectOptions, Status } from "./options.ts";
import { onAbort, untilAborted, within } from "./scope.ts";
import { Session } from "./session.ts";
import { type Deferred, deferred } from "./wire.ts";

/** How long one call may take. */
export interface CallBounds extends CallOptions {
  /** True: a call that was sent when the connection broke fails with `outcome_unknown`. */
  readonly once?: boolean | undefined;
  /** Only where the sequences of this epoch are valid. */
  readonly epoch?: string | undefined;
}

/** The connection, whichever it is at the moment. */
export class Link {
  /** Of the last welcome. */
  declare epoch: string | undefined;
  /** Why there will be no further session. */
  declare end: MtsError | undefined;
  /** Hears of every new session before anybody who waits for one. */
  declare onSession: ((session: Session) => void) | undefined;
  /** Hears of the end. */
  declare onEnd: ((error: MtsError) => void) | undefined;
  /** The last one that was begun. */
  #session: Session | undefined;
  readonly #waiting = new Set<Deferred<Session>>();
  #attempt = 0;
  #welcomedAtMs = 0;
  #cancelRetry: (() => void) | undefined;
  #calls = 0;
  /** Of calls that do not say. */
  declare readonly timeoutMs: number;
  declare readonly env: Environment;
  declare readonly http: HttpSide;
  readonly #wsUrl: string;
  readonly #options: ConnectOptions;

  constructor(env: Environment, wsUrl: string, http: HttpSide, options: ConnectOptions) {
    this.env = env;
    this.http = http;
    this.#wsUrl = wsUrl;
    this.#options = options;
    this.timeoutMs = options.timeoutMs ?? 30_000;
  }

  /** @throws what the WebSocket class throws, e.g. for `ws:` in a page that came over https; not with a function */
  connect(): void {
    const { token } = this.#options;
    if (typeof token !== "function") this.#begin(token);
    else
      this.http
        .token()
        .then(
          (fresh) => this.#begin(fresh),
          (error: unknown) => this.#retry(error),
        )
        .catch((error: unknown) => this.close(toMtsError(error)));
  }

  #begin(token: string | undefined): void {
    if (this.end) return;
    this.#session = new Session(this.env, this.#wsUrl, token, this.#options, {
      welcomed: (session) => this.#welcomed(session),
      ended: (session, code, reason) => this.#ended(session, code, reason),
    });
  }

  /** The session that is there, or the next one. @throws MtsError the signal's reason, or `end` */
  async session(signal: AbortSignal): Promise<Session> {
    signal.throwIfAborted();
    if (this.end) throw this.end;
    if (this.#session?.open && this.#session.welcomed) return this.#session;
    const waiter = deferred<Session>();
    this.#waiting.add(waiter);
    const forget = onAbort(signal, () => waiter.reject(signal.reason));
    try {
      return await waiter.promise;
    } finally {
      forget();
      this.#waiting.delete(waiter);
    }
  }

  /** Runs work that ends with its caller's signal or its time. */
  within<T>(
    { signal, timeoutMs = this.timeoutMs }: CallOptions,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    return within(this.env, { signal, timeoutMs }, work);
  }

  /**
   * Sends a request, on the next session again when the one it was sent on broke or its server was stopping.
   * @throws MtsError
   */
  async call<T>(frame: object, bounds: CallBounds): Promise<T> {
    // Waiting for an answer or for a connection.
    const callsMax = 10_000;
    if (this.#calls >= callsMax) throw overloaded("calls");
    this.#calls++;
    try {
      return await this.within(bounds, (signal) => this.#repeat<T>(frame, bounds, signal));
    } finally {
      this.#calls--;
    }
  }

  async #repeat<T>(frame: object, { once, epoch }: CallBounds, signal: AbortSignal): Promise<T> {
    for (;;) {
      const session = await this.session(signal);
      const now = session.welcome.epoch;
      if (epoch && epoch !== now) throw new EpochChangedError(epoch, now);
      try {
        return await session.request<T>(frame, signal);
      } catch (error) {
        const { code } = toMtsError(error);
        // It says so to everybody now, and ends soon.
        if (isPassing(code)) await Promise.race([session.ended, untilAborted(signal)]);
        else if (code !== "connection_lost") throw error;
        else if (once) throw outcomeUnknown({}, error);
      }
    }
  }

  /** Nothing is tried any more. @param error why; none when the caller wants it */
  close(error?: MtsError): void {
    if (this.end) return;
    this.end = error ?? closed();
    this.#cancelRetry?.();
    this.#session?.end(1000, "");
    for (const waiter of this.#waiting) waiter.reject(this.end);
    this.onEnd?.(this.end);
    this.#tell({ state: "closed", error });
  }

  #welcomed(session: Session): void {
    const { epoch, version, node } = session.welcome;
    const before = this.epoch ?? epoch;
    this.epoch = epoch;
    this.#welcomedAtMs = this.env.nowMs();
    this.#tell({ state: "connected", epoch, version, node });
    if (before !== epoch) this.#tell({ state: "epoch_changed", error: new EpochChangedError(before, epoch) });
    this.onSession?.(session);
    for (const waiter of this.#waiting) waiter.resolve(session);
  }

  #ended({ welcomed }: Session, code: number, reason: string): void {
    if (this.end) return;
    this.#tell({ state: "disconnected", code, reason });
    // A connection that lasted this long was a good one: the pauses start small again.
    const steadyMs = 5000;
    if (welcomed && this.env.nowMs() - this.#welcomedAtMs >= steadyMs) this.#attempt = 0;
    if (code >= 3500 && code < 4000) {
      this.close(
        new MtsError(code === 3501 ? "unauthenticated" : "connection_refused", `${code} ${reason}`, false, {
          close_code: code,
        }),
      );
    } else if (welcomed) this.#retry();
    // A failed upgrade does not tell why; a plain request does.
    else void this.http.refusal().then((error) => (error ? this.close(error) : this.#retry()));
  }

  #retry(error?: unknown): void {
    if (this.end) return;
    const attempt = ++this.#attempt;
    const delayMs = this.pauseMs(attempt);
    this.#cancelRetry = this.env.after(delayMs, () => this.connect());
    this.#tell({ state: "reconnecting", attempt, delayMs, error });
  }

  /** Pause before an attempt, counted from 1: doubled each time, half of it by chance so that clients spread out. */
  pauseMs(attempt: number): number {
    const { backoffMsMin = 100, backoffMsMax = 10_000 } = this.#options;
    return Math.min(backoffMsMax, backoffMsMin * 2 ** (attempt - 1)) * (0.5 + this.env.random() / 2);
  }

  #tell(status: Status): void {
    try {
      this.#options.onStatus?.(status);
    } catch (error) {
      // The caller's own fault must show, but not break the connection.
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}
