/**
 * Keeps a session: connects, reconnects with growing pauses, and gives up when the server says so. Calls that may be
 * repeated outlive the session they began on.
 * @module
 */
import type { Endpoints, Environment } from "./environment.ts";
import { closed, EpochChangedError, MtsError, toMtsError } from "./errors.ts";
import type { HttpSide } from "./http.ts";
import type { ConnectOptions, Status } from "./options.ts";
import { within } from "./scope.ts";
import { Session, type SocketEnd } from "./session.ts";
import { type Deferred, deferred, type Frame } from "./wire.ts";

/** Calls that wait for an answer or for a connection. */
const callsMax = 10_000;
const backoffMsMinDefault = 100;
const backoffMsMaxDefault = 10_000;
const connectMsDefault = 10_000;
/** A connection that lasted this long was a good one: the pauses start small again. */
const steadyMs = 5000;

/** How long one call may take. */
export interface CallBounds {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs: number;
  /** False: a call that was sent when the connection broke fails with `outcome_unknown`. */
  readonly repeat?: boolean;
  /** Only where the sequences of this epoch are valid. */
  readonly epoch?: string | undefined;
}

/** The connection, whichever it is at the moment. */
export class Link {
  /** Hears of every new session, in the order of registration, before anybody who waits for one. */
  readonly onSession = new Set<(session: Session) => void>();
  #session: Session | undefined;
  /** Opening, not welcomed yet. */
  #opening: Session | undefined;
  #waiting = new Set<Deferred<Session>>();
  #attempt = 0;
  #welcomedAtMs = 0;
  #epoch: string | undefined;
  #cancelRetry: () => void = () => undefined;
  #end: MtsError | undefined;
  #calls = 0;

  constructor(
    private readonly endpoints: Endpoints,
    readonly environment: Environment,
    private readonly http: HttpSide,
    private readonly options: ConnectOptions,
  ) {}

  /** The epoch of the last welcome. */
  get epoch(): string | undefined {
    return this.#epoch;
  }

  connect(): void {
    this.#tell({ state: "connecting" });
    if (this.closed) return;
    try {
      this.#opening = this.#open();
    } catch (error) {
      // A page that came over https may not open ws:, for example.
      this.close(refused("The WebSocket cannot be made.", {}, error));
    }
  }

  #open(): Session {
    return new Session({
      environment: this.environment,
      wsUrl: this.endpoints.wsUrl,
      connectMsMax: this.options.connectMsMax ?? connectMsDefault,
      heartbeatMs: this.options.heartbeatMs,
      copyFrames: this.options.webSocket !== undefined,
      onWelcome: (session) => this.#welcomed(session),
      onEnd: (session, end) => this.#ended(session, end),
    });
  }

  /** The session that is there, or the next one. @throws MtsError the signal's reason, or why there is none any more */
  session(signal?: AbortSignal): Promise<Session> {
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    if (this.#end !== undefined) return Promise.reject(this.#end);
    if (this.#session !== undefined) return Promise.resolve(this.#session);
    const waiter = deferred<Session>();
    const abort = (): void => {
      this.#waiting.delete(waiter);
      waiter.reject(signal?.reason);
    };
    signal?.addEventListener("abort", abort);
    this.#waiting.add(waiter);
    return waiter.promise.finally(() => signal?.removeEventListener("abort", abort));
  }

  /**
   * Sends a request, on the next session again when the one it was sent on broke or its server was stopping.
   * @throws MtsError
   */
  async call(frame: Readonly<Record<string, unknown>>, bounds: CallBounds): Promise<Frame> {
    if (this.#calls >= callsMax) throw new MtsError("overloaded", "Too many calls wait for their answers.", true);
    this.#calls++;
    try {
      return await within(this.environment, bounds, (signal) => this.#repeat(frame, bounds, signal));
    } finally {
      this.#calls--;
    }
  }

  async #repeat(
    frame: Readonly<Record<string, unknown>>,
    { repeat = true, epoch }: CallBounds,
    signal: AbortSignal,
  ): Promise<Frame> {
    for (;;) {
      const session = await this.session(signal);
      if (epoch !== undefined && session.welcome.epoch !== epoch) {
        throw new EpochChangedError(epoch, session.welcome.epoch);
      }
      try {
        return await session.request(frame, signal);
      } catch (error) {
        const { code } = toMtsError(error);
        if (code === "shutting_down") await session.ended;
        else if (code !== "connection_lost") throw error;
        else if (!repeat) {
          throw new MtsError("outcome_unknown", "The connection broke before the answer came.", true, {}, error);
        }
      }
    }
  }

  /** Nothing is tried any more. @param error why; none when the caller wants it */
  close(error?: MtsError): void {
    if (this.#end !== undefined) return;
    this.#end = error ?? closed();
    this.#cancelRetry();
    (this.#session ?? this.#opening)?.end(1000, "");
    for (const waiter of this.#waiting) waiter.reject(this.#end);
    this.#waiting.clear();
    this.#tell(error === undefined ? { state: "closed" } : { state: "closed", error });
  }

  #welcomed(session: Session): void {
    const { epoch, version, node } = session.welcome;
    const before = this.#epoch;
    this.#opening = undefined;
    this.#session = session;
    this.#epoch = epoch;
    this.#welcomedAtMs = this.environment.nowMs();
    this.#tell({ state: "connected", epoch, version, node });
    if (before !== undefined && before !== epoch) {
      this.#tell({ state: "epoch_changed", error: new EpochChangedError(before, epoch) });
    }
    for (const hear of this.onSession) hear(session);
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const waiter of waiting) waiter.resolve(session);
  }

  #ended(session: Session, { code, reason, opened }: SocketEnd): void {
    const welcomed = this.#session === session;
    this.#session = undefined;
    this.#opening = undefined;
    if (this.#end !== undefined) return;
    this.#tell({ state: "disconnected", code, reason });
    if (code >= 3500 && code < 4000) {
      this.close(refused(`The server closed with ${code} ${reason}.`, { close_code: code, reason }));
    } else if (opened) this.#retry(welcomed);
    else void this.#probe();
  }

  /** A failed upgrade does not tell why; a plain request does. */
  async #probe(): Promise<void> {
    const error = await this.http.refusal();
    if (this.#end !== undefined) return;
    if (error === undefined) this.#retry(false);
    else this.close(error);
  }

  #retry(welcomed: boolean): void {
    if (welcomed && this.environment.nowMs() - this.#welcomedAtMs >= steadyMs) this.#attempt = 0;
    const attempt = ++this.#attempt;
    const delayMs = this.pauseMs(attempt);
    this.#tell({ state: "reconnecting", attempt, delayMs });
    // A callback may have closed the client.
    if (this.closed) return;
    this.#cancelRetry = this.environment.after(delayMs, () => this.connect());
  }

  get closed(): boolean {
    return this.#end !== undefined;
  }

  /** Pause before an attempt, counted from 1: doubled each time, half of it by chance so that clients spread out. */
  pauseMs(attempt: number): number {
    const { backoffMsMin = backoffMsMinDefault, backoffMsMax = backoffMsMaxDefault } = this.options;
    const full = Math.min(backoffMsMax, backoffMsMin * 2 ** Math.min(attempt - 1, 30));
    return Math.round(full * (0.5 + this.environment.random() / 2));
  }

  #tell(status: Status): void {
    try {
      this.options.onStatus?.(status);
    } catch (error) {
      // The caller's own fault must show, but not break the connection.
      this.environment.after(0, () => {
        throw error;
      });
    }
  }
}

const refused = (detail: string, fields: Readonly<Record<string, unknown>>, cause?: unknown): MtsError =>
  new MtsError("connection_refused", detail, false, fields, cause);
