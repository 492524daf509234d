/**
 * One WebSocket from its opening to its end: the welcome, requests and their answers, pushes, the heartbeat. What was
 * lost with it is for others to repeat.
 * @module
 */
import type { Environment, WebSocketLike } from "./environment.ts";
import { connectionLost, errorFrom, protocolError } from "./errors.ts";
import { msgpackReader } from "./msgpack-reader.ts";
import { msgpackWriter } from "./msgpack-writer.ts";
import type { ConnectOptions } from "./options.ts";
import { onAbort } from "./scope.ts";
import { deferred, type Fields, fromWire, isMap, nothing, toWire } from "./wire.ts";

/** What waits for the answer to one request. */
interface Taker {
  reply(frame: Fields): void;
  /** The connection ended before there was one. */
  lost?(): void;
  /** Takes the pushes of the subscription that the answer tells of. */
  readonly push?: ((frame: Fields) => void) | undefined;
}

/** What a session tells. */
export interface SessionEvents {
  welcomed(session: Session): void;
  /** Called once, in any case. */
  ended(session: Session, code: number, reason: string): void;
}

/** What the server said in its welcome. */
export interface Welcome {
  readonly epoch: string;
  readonly version: string;
  readonly node: string;
  readonly maxFrameBytes: number;
  readonly heartbeatMs: number;
}

const subprotocol = "mts.msgpack.v1";
/** Close codes of this side, from the range for private use. */
const closeDead = 4000;
const closeUnreadable = 4002;

/** With the token as a header where the class can send one; browsers throw at it, and take it as a subprotocol. */
const openSocket = ({ webSocket }: Environment, url: string, token: string | undefined): WebSocketLike => {
  if (token === undefined) return new webSocket(url, subprotocol);
  try {
    const withHeaders = webSocket as unknown as new (url: string, options: object) => WebSocketLike;
    return new withHeaders(url, { protocols: [subprotocol], headers: { authorization: `Bearer ${token}` } });
  } catch {
    return new webSocket(url, [subprotocol, `mts.token.${token}`]);
  }
};

/** A connection. */
export class Session {
  /** Not there before `welcomed`. */
  declare welcome: Welcome;
  /** The server said its welcome: requests may be sent. */
  welcomed = false;
  open = true;
  readonly #ended = deferred<undefined>();
  readonly #socket: WebSocketLike;
  readonly #decode = msgpackReader();
  readonly #encode = msgpackWriter();
  readonly #takers = new Map<unknown, Taker>();
  readonly #pushes = new Map<unknown, (frame: Fields) => void>();
  readonly #env: Environment;
  readonly #heartbeatMs: number | undefined;
  readonly #events: SessionEvents;
  #lastId = 0;
  #heard = true;
  #silent = 0;
  #cancelTimer: () => void;

  constructor(
    env: Environment,
    wsUrl: string,
    token: string | undefined,
    options: ConnectOptions,
    events: SessionEvents,
  ) {
    this.#env = env;
    this.#heartbeatMs = options.heartbeatMs;
    this.#events = events;
    const socket = openSocket(env, wsUrl, token);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onmessage = (event: { readonly data: unknown }) => this.#receive(event.data);
    socket.onclose = (event: { readonly code: number; readonly reason: string }) => this.#end(event.code, event.reason);
    // A close event follows; without a listener some WebSockets throw.
    socket.onerror = nothing;
    this.#cancelTimer = env.after(options.connectMsMax ?? 10_000, () => this.end(closeDead, "no welcome"));
  }

  /** Resolves when it has ended. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Encodes a request, with its id, for `transmit`. */
  encode(frame: Fields): Uint8Array<ArrayBuffer> {
    return this.#encode({ ...frame, id: ++this.#lastId });
  }

  /** Sends what was encoded last. @param taker hears of the answer */
  transmit(bytes: Uint8Array<ArrayBuffer>, taker?: Taker): void {
    if (taker) this.#takers.set(this.#lastId, taker);
    try {
      if (this.open) this.#socket.send(bytes);
      else taker?.lost?.();
    } catch (error) {
      // A socket that is closing already; its close event may take long.
      this.end(closeDead, String(error));
    }
  }

  /**
   * Sends a request and waits for its answer; names of the SDK both ways.
   * @param push takes the pushes (with the names of the wire) of the subscription that the answer tells of
   * @throws MtsError the error of the answer, `connection_lost`, or the signal's reason
   */
  request<T>(frame: object, signal: AbortSignal, push?: (frame: Fields) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const forget = onAbort(signal, () => reject(signal.reason as Error));
      this.transmit(this.encode(toWire(frame)), {
        push,
        reply: (answer) => {
          forget();
          if (answer["op"] === "error") reject(errorFrom(answer));
          else if (push && signal.aborted) void this.unsubscribe(answer["sid"]);
          else resolve(fromWire(answer) as T);
        },
        lost: () => {
          forget();
          reject(connectionLost());
        },
      });
    });
  }

  /** Sends what needs no answer. */
  tell(frame: Fields): void {
    this.transmit(this.encode(frame));
  }

  /** Lets go of a subscription; resolves when no push can come any more. */
  unsubscribe(sid: unknown): Promise<void> {
    return new Promise((resolve) => {
      const lost = (): void => {
        this.#pushes.delete(sid);
        resolve();
      };
      if (this.#pushes.has(sid)) this.transmit(this.encode({ op: "unsubscribe", sid }), { reply: lost, lost });
      else resolve();
    });
  }

  /** Ends it from this side, at once. @param code 1000 or from 3000 on */
  end(code: number, reason: string): void {
    if (!this.open) return;
    try {
      this.#socket.close(code, reason.slice(0, 40));
    } catch {
      // It is gone already.
    }
    this.#end(code, reason);
  }

  #receive(data: unknown): void {
    this.#heard = true;
    try {
      const frame = this.#decode(data as ArrayBuffer);
      if (!isMap(frame)) throw protocolError("no map");
      if (this.welcomed) this.#dispatch(frame);
      else this.#begin(frame);
    } catch (error) {
      this.end(closeUnreadable, String(error));
    }
  }

  #dispatch(frame: Fields): void {
    const { id, sid } = frame;
    const taker = this.#takers.get(id);
    if (taker) {
      this.#takers.delete(id);
      // Before anything else is read: the first push may be in the next frame.
      if (taker.push && frame["op"] === "subscribed") this.#pushes.set(sid, taker.push);
      taker.reply(frame);
    } else if (id === undefined) this.#pushes.get(sid)?.(frame);
  }

  #begin(frame: Fields): void {
    if (frame["op"] !== "welcome") throw protocolError("no welcome");
    this.welcome = fromWire(frame) as Welcome;
    this.welcomed = true;
    this.#listen();
    this.#events.welcomed(this);
  }

  /** Any frame is a sign of life; a ping asks for one. */
  #listen(): void {
    this.#cancelTimer();
    // Silent intervals after which a connection is given up.
    const silentMax = 2;
    const beat = (): void => {
      this.#listen();
      this.#silent = this.#heard ? 0 : this.#silent + 1;
      this.#heard = false;
      if (this.#silent >= silentMax) this.end(closeDead, "silent");
      else if (this.#silent > 0) this.tell({ op: "ping" });
    };
    this.#cancelTimer = this.#env.after(this.#heartbeatMs ?? this.welcome.heartbeatMs, beat, true);
  }

  #end(code: number, reason: string): void {
    this.open = false;
    this.#cancelTimer();
    this.#socket.onmessage = this.#socket.onclose = null;
    this.#pushes.clear();
    for (const taker of this.#takers.values()) taker.lost?.();
    this.#takers.clear();
    this.#ended.resolve(undefined);
    this.#events.ended(this, code, reason);
  }
}
