/**
 * One WebSocket from its opening to its end: the welcome, requests and their answers, pushes, the heartbeat. What was
 * lost with it is for others to repeat.
 * @module
 */
import type { Environment, WebSocketLike } from "./environment.ts";
import { connectionLost, errorFrom, MtsError, protocolError } from "./errors.ts";
import { MsgpackReader } from "./msgpack-reader.ts";
import { MsgpackWriter } from "./msgpack-writer.ts";
import { deferred, type Frame, integerField, isFrame, subprotocol, textField } from "./wire.ts";

/** What waits for the answer to one request. One of the two is called, once. */
export interface Taker {
  reply(frame: Frame): void;
  lost(error: MtsError): void;
  /** Takes the pushes of the subscription that the answer tells of. */
  readonly push?: ((frame: Frame) => void) | undefined;
}

/** How a socket ended. */
export interface SocketEnd {
  readonly code: number;
  readonly reason: string;
  /** Whether the WebSocket was ever open. */
  readonly opened: boolean;
}

/** How a session is made. */
export interface SessionOptions {
  readonly environment: Environment;
  readonly wsUrl: string;
  readonly connectMsMax: number;
  /** In place of the server's. */
  readonly heartbeatMs: number | undefined;
  /** The frames that were sent may not be written over: a WebSocket that was given may look at them later. */
  readonly copyFrames: boolean;
  onWelcome(session: Session): void;
  /** Called once, in any case, after every taker has been told. */
  onEnd(session: Session, end: SocketEnd): void;
}

/** What the server said in its welcome. */
export interface Welcome {
  readonly epoch: string;
  readonly version: string;
  readonly node: string;
  readonly frameBytesMax: number;
  readonly heartbeatMs: number;
}

/** Close codes of this side, from the range for private use. */
const closeDead = 4000;
const closeUnreadable = 4002;
const noCode = 1006;
/** Silent intervals after which a connection is given up. */
const silentMax = 2;

/** A connection. */
export class Session {
  /** Resolves when it has ended. */
  readonly ended: Promise<void>;
  readonly #socket: WebSocketLike;
  readonly #reader = new MsgpackReader();
  readonly #writer = new MsgpackWriter();
  readonly #takers = new Map<number, Taker>();
  readonly #pushes = new Map<number, (frame: Frame) => void>();
  readonly #finish: (value: undefined) => void;
  #welcome: Welcome | undefined;
  #opened = false;
  #open = true;
  #lastId = 0;
  #heard = true;
  #silent = 0;
  #cancelTimer: () => void;

  constructor(private readonly options: SessionOptions) {
    const ended = deferred<undefined>();
    this.ended = ended.promise;
    this.#finish = ended.resolve;
    const { environment, wsUrl, connectMsMax } = options;
    const socket = new environment.webSocket(wsUrl, subprotocol);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#opened = true;
    };
    socket.onmessage = (event: { readonly data: unknown }) => this.#receive(event.data);
    socket.onclose = (event: { readonly code?: number; readonly reason?: string }) =>
      this.#end(event.code ?? noCode, event.reason ?? "");
    // A close event follows; without a listener some WebSockets throw.
    socket.onerror = () => undefined;
    this.#cancelTimer = environment.after(connectMsMax, () => this.end(closeDead, "no welcome in time"));
  }

  /** Only after `onWelcome`. */
  get welcome(): Welcome {
    if (this.#welcome === undefined) throw protocolError("no welcome");
    return this.#welcome;
  }

  get open(): boolean {
    return this.#open;
  }

  /** Sends a request; the taker hears of its answer. */
  ask(frame: Readonly<Record<string, unknown>>, taker: Taker): void {
    const writer = this.begin();
    writer.value({ ...frame, id: this.expect(taker) });
    this.transmit();
  }

  /**
   * Sends a request and waits for its answer.
   * @param push takes the pushes of the subscription that the answer tells of
   * @throws MtsError the error of the answer, `connection_lost`, or the signal's reason
   */
  request(
    frame: Readonly<Record<string, unknown>>,
    signal?: AbortSignal,
    push?: (frame: Frame) => void,
  ): Promise<Frame> {
    return new Promise((resolve, reject) => {
      let wanted = true;
      const abort = (): void => {
        wanted = false;
        reject(signal?.reason as Error);
      };
      const settled = (): void => signal?.removeEventListener("abort", abort);
      if (signal?.aborted === true) {
        abort();
        return;
      }
      signal?.addEventListener("abort", abort);
      this.ask(frame, {
        push,
        reply: (answer) => {
          settled();
          if (answer["op"] === "error") reject(errorFrom(strip(answer)));
          else if (!wanted && push !== undefined) this.unsubscribe(integerField(answer, "sid"));
          else resolve(answer);
        },
        lost: (error) => {
          settled();
          reject(error);
        },
      });
    });
  }

  /** Sends a request that has no answer. */
  tell(frame: Readonly<Record<string, unknown>>): void {
    this.begin().value(frame);
    this.transmit();
  }

  /** The next request's id; its answer goes to the taker. */
  expect(taker: Taker): number {
    const id = ++this.#lastId;
    if (this.#open) this.#takers.set(id, taker);
    else queueMicrotask(() => taker.lost(connectionLost()));
    return id;
  }

  /** An empty writer for one frame; `transmit` sends what is in it. */
  begin(): MsgpackWriter {
    this.#writer.reset();
    return this.#writer;
  }

  transmit(): void {
    if (!this.#open) return;
    const bytes = this.#writer.view();
    try {
      this.#socket.send(this.options.copyFrames ? bytes.slice() : bytes);
    } catch (error) {
      // A socket that is closing already; its close event may take long.
      this.end(noCode, error instanceof Error ? error.message : "");
    }
  }

  /** Lets go of a subscription; the server hears of it. */
  unsubscribe(sid: number): void {
    if (this.#pushes.delete(sid) && this.#open) this.tell({ op: "unsubscribe", sid });
  }

  /** Ends it from this side, at once. */
  end(code: number, reason: string): void {
    if (!this.#open) return;
    try {
      // 1006 and the like may not be sent.
      if (code === 1000 || code >= 3000) this.#socket.close(code, reason.slice(0, 100));
      else this.#socket.close();
    } catch {
      // It was never open, or it is gone already.
    }
    this.#end(code, reason);
  }

  #receive(data: unknown): void {
    if (!this.#open) return;
    this.#heard = true;
    try {
      if (!(data instanceof ArrayBuffer)) throw protocolError("a frame that is not binary");
      const frame = this.#reader.decode(data);
      if (!isFrame(frame)) throw protocolError("a frame that is no map");
      this.#dispatch(frame);
    } catch (error) {
      this.end(closeUnreadable, error instanceof Error ? error.message : "unreadable");
    }
  }

  #dispatch(frame: Frame): void {
    if (this.#welcome === undefined) {
      this.#begin(frame);
      return;
    }
    const id = frame["id"];
    if (typeof id === "number") {
      const taker = this.#takers.get(id);
      this.#takers.delete(id);
      // Before anything else is read: the first push may be in the next frame.
      if (taker?.push !== undefined && frame["op"] === "subscribed") {
        this.#pushes.set(integerField(frame, "sid"), taker.push);
      }
      taker?.reply(frame);
      return;
    }
    const sid = frame["sid"];
    if (typeof sid === "number") this.#pushes.get(sid)?.(frame);
  }

  #begin(frame: Frame): void {
    if (frame["op"] !== "welcome") throw protocolError("something before its welcome");
    this.#welcome = {
      epoch: textField(frame, "epoch"),
      version: textField(frame, "version"),
      node: textField(frame, "node"),
      frameBytesMax: integerField(frame, "max_frame_bytes"),
      heartbeatMs: this.options.heartbeatMs ?? integerField(frame, "heartbeat_ms"),
    };
    this.#cancelTimer();
    this.#listen(this.#welcome.heartbeatMs);
    this.options.onWelcome(this);
  }

  /** Any frame is a sign of life; a ping asks for one. */
  #listen(heartbeatMs: number): void {
    this.#cancelTimer = this.options.environment.after(
      heartbeatMs,
      () => {
        if (this.#heard) this.#silent = 0;
        else if (++this.#silent >= silentMax) {
          this.end(closeDead, "silent");
          return;
        } else this.tell({ op: "ping" });
        this.#heard = false;
        this.#listen(heartbeatMs);
      },
      true,
    );
  }

  #end(code: number, reason: string): void {
    if (!this.#open) return;
    this.#open = false;
    this.#cancelTimer();
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = null;
    const error = connectionLost(new MtsError("closed", `${code} ${reason}`));
    const takers = [...this.#takers.values()];
    this.#takers.clear();
    this.#pushes.clear();
    for (const taker of takers) taker.lost(error);
    this.#finish(undefined);
    this.options.onEnd(this, { code, reason, opened: this.#opened });
  }
}

/** Without the fields of the envelope. */
const strip = ({ op: _op, id: _id, sid: _sid, ...fields }: Frame): Frame => fields;
