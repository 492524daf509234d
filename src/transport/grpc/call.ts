/**
 * One call: its stream, its deadline, its messages on the way in and out, and the one status it ends with.
 * @module
 */
import type { Principal } from "../../auth/contract.ts";
import type { Broker } from "../../broker/contract.ts";
import { StreamError, toStreamError } from "../../core/errors.ts";
import { FrameReader } from "./frames.ts";
import type { RequestHeaders } from "./http2/request.ts";
import type { H2Stream, StreamListener } from "./http2/stream.ts";
import type { GrpcCall, MessageReceiver, Route } from "./method.ts";
import { failureTrailers, GrpcFault, type StatusName, statusNameOf, type Trailers } from "./status.ts";

/** How long the end of a call waits for a client that does not read, in milliseconds. */
const endGraceMs = 2000;
/** setTimeout fires at once past it. */
const timerMsMax = 2 ** 31 - 1;

/** What a call needs of its server. */
export interface CallHost {
  /** Largest message in bytes. */
  readonly messageBytesMax: number;
  /**
   * Asks for memory for messages on their way in; throws StreamError `overloaded`.
   * @param own bytes that the call has already
   */
  reserve(bytes: number, own: number): void;
  release(bytes: number): void;
  /** The status of a call is known. */
  ended(path: string, status: StatusName): void;
  /** The stream of a call is closed. */
  closed(call: Call): void;
  /** Something that is no fault of the client. */
  failed(error: StreamError, path: string): void;
}

/** One call. */
export class Call implements GrpcCall, StreamListener {
  /** When the last bytes came, for the sweep that ends requests that stall; milliseconds of `performance.now()`. */
  receivedAt = performance.now();
  #principal: Principal | undefined;
  readonly metadata: RequestHeaders;
  #receiver: MessageReceiver | undefined;
  #request: Buffer | undefined;
  /** What came while the token was being checked. */
  #early: Buffer[] = [];
  #isStarted = false;
  #over = false;
  #trailers: Trailers = { "grpc-status": "0" };
  #reserved = 0;
  #abort: AbortController | undefined;
  #deadline: ReturnType<typeof setTimeout> | undefined;
  #expiry: ReturnType<typeof setTimeout> | undefined;
  #drainListeners: (() => void)[] = [];
  #drainWaiters: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];
  readonly #frames: FrameReader;

  constructor(
    private readonly stream: H2Stream,
    private readonly route: Route,
    private readonly host: CallHost,
  ) {
    this.metadata = stream.headers;
    stream.listener = this;
    this.#frames = new FrameReader({
      messageBytesMax: host.messageBytesMax,
      reserve: (bytes) => this.#reserve(bytes),
    });
  }

  get broker(): Broker {
    if (this.#principal === undefined) throw new StreamError("unauthenticated", "This call needs a token.");
    return this.#principal.broker;
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#over) this.#abort.abort();
    return this.#abort.signal;
  }

  get writable(): boolean {
    return !this.#over && !this.stream.needsDrain;
  }

  /** Whether the client owes the rest of a message. */
  get receiving(): boolean {
    if (this.#over || this.stream.isHalfClosed || this.stream.isHeld) return false;
    return this.route.method.kind !== "bidi" || this.#frames.partial;
  }

  /** Reads the request and runs the method. `principal` is undefined for methods that are open to everybody. */
  start(principal: Principal | undefined): void {
    if (this.#over) return;
    this.#principal = principal;
    const { metadata } = this;
    if (metadata["grpc-encoding"] !== undefined) this.#frames.encoding = metadata["grpc-encoding"];
    if (metadata["grpc-timeout"] !== undefined && !this.#setDeadline(metadata["grpc-timeout"])) return;
    if (principal !== undefined && this.route.method.kind !== "unary") this.#setExpiry(principal.expiresAt);
    if (this.route.method.kind === "bidi") this.#receiver = this.route.method.open(this);
    this.#isStarted = true;
    const early = this.#early;
    this.#early = [];
    for (const chunk of early) this.data(chunk);
    if (this.stream.isHalfClosed) this.halfClosed();
  }

  open(): void {
    if (!this.#over) this.#respond();
  }

  send(frames: Uint8Array): boolean {
    if (this.#over) return false;
    this.#respond();
    return this.stream.write(frames);
  }

  room(): Promise<void> {
    if (this.#over) return Promise.reject(new GrpcFault("CANCELLED", "The call is over."));
    if (!this.stream.needsDrain) return Promise.resolve();
    return new Promise((resolve, reject) => this.#drainWaiters.push({ resolve, reject }));
  }

  onDrain(listener: () => void): void {
    this.#drainListeners.push(listener);
  }

  hold(isHeld: boolean): void {
    if (this.#over) return;
    // While it has to wait, a client owes nothing.
    this.receivedAt = performance.now();
    this.stream.hold(isHeld);
  }

  addTrailers(trailers: Trailers): void {
    this.#trailers = { ...this.#trailers, ...trailers };
  }

  end(trailers?: Trailers): void {
    if (this.#over) return;
    if (trailers !== undefined) this.addTrailers(trailers);
    this.#respond();
    this.#finish("OK");
    this.stream.finish(this.#trailers);
  }

  fail(thrown: unknown): void {
    if (this.#over) return;
    const failure = thrown instanceof GrpcFault ? thrown : toStreamError(thrown);
    if (failure instanceof StreamError && failure.code === "internal") this.host.failed(failure, this.route.path);
    this.#finish(statusNameOf(failure));
    const trailers = failureTrailers(failure);
    if (this.stream.isAnswered) {
      this.stream.finish(trailers);
      this.#insist();
    } else this.stream.respond({ ...responseHeaders, ...trailers }, true);
  }

  data(chunk: Buffer): void {
    if (this.#over) return;
    this.receivedAt = performance.now();
    try {
      if (this.#isStarted) this.#frames.push(chunk, (message) => this.#message(message));
      else {
        this.#reserve(chunk.length);
        this.#early.push(chunk);
      }
    } catch (error) {
      this.fail(error);
    }
  }

  halfClosed(): void {
    if (this.#over || !this.#isStarted) return;
    try {
      if (this.#frames.partial) throw new StreamError("malformed_body", "The last message is cut off.");
      if (this.#receiver !== undefined) this.#receiver.ended();
      else this.#run();
    } catch (error) {
      this.fail(error);
    }
  }

  closed(): void {
    // When the call was not over, it was the client who ended it, or the connection broke.
    if (!this.#over) this.#finish("CANCELLED");
    this.host.closed(this);
  }

  drained(): void {
    const waiters = this.#drainWaiters;
    this.#drainWaiters = [];
    for (const { resolve } of waiters) resolve();
    for (const listener of this.#drainListeners) listener();
  }

  #respond(): void {
    this.stream.respond(responseHeaders, false);
  }

  /** A client that reads nothing would never let the trailers through. */
  #insist(): void {
    if (this.stream.pendingBytes === 0) return;
    setTimeout(() => this.stream.reset("CANCEL"), endGraceMs).unref();
  }

  #message(bytes: Buffer): void {
    if (this.#over) return;
    if (this.#receiver !== undefined) {
      this.#receiver.message(bytes);
      this.#releaseMemory();
    } else if (this.#request === undefined) this.#request = bytes;
    else throw new StreamError("malformed_body", "This method takes one message.");
  }

  #run(): void {
    const request = this.#request;
    if (request === undefined) throw new StreamError("malformed_body", "This method takes one message.");
    this.#request = undefined;
    const { method } = this.route;
    if (method.kind === "unary") {
      const reply = method.handle(request, this);
      if (reply instanceof Uint8Array) this.#reply(reply);
      else
        reply.then(
          (bytes) => this.#reply(bytes),
          (error: unknown) => this.fail(error),
        );
    } else if (method.kind === "server_stream") {
      const running = method.handle(request, this);
      running?.catch((error: unknown) => this.fail(error));
    }
  }

  /** The answer of a unary call. */
  #reply(message: Uint8Array): void {
    if (this.#over) return;
    this.#respond();
    this.#finish("OK");
    const prefix = Buffer.allocUnsafe(5);
    prefix[0] = 0;
    prefix.writeUInt32BE(message.length, 1);
    if (message.length < joinBytesMax) this.stream.write(Buffer.concat([prefix, message]));
    else {
      this.stream.write(prefix);
      this.stream.write(message);
    }
    this.stream.finish(this.#trailers);
  }

  /** From here on nothing changes the status. */
  #finish(status: StatusName): void {
    this.#over = true;
    this.#letGo();
    this.host.ended(this.route.path, status);
  }

  #letGo(): void {
    clearTimeout(this.#deadline);
    clearTimeout(this.#expiry);
    this.#releaseMemory();
    this.#request = undefined;
    this.#early = [];
    this.#abort?.abort();
    this.#drainListeners = [];
    const waiters = this.#drainWaiters;
    this.#drainWaiters = [];
    for (const { reject } of waiters) reject(new GrpcFault("CANCELLED", "The call is over."));
  }

  #reserve(bytes: number): void {
    this.host.reserve(bytes, this.#reserved);
    this.#reserved += bytes;
  }

  #releaseMemory(): void {
    if (this.#reserved === 0) return;
    this.host.release(this.#reserved);
    this.#reserved = 0;
  }

  /** False when it cannot be read, and then the call is over. */
  #setDeadline(raw: string): boolean {
    const ms = parseTimeout(raw);
    if (ms === undefined) {
      this.fail(new StreamError("malformed_request", "grpc-timeout cannot be read."));
      return false;
    }
    if (ms > timerMsMax) return true;
    this.#deadline = setTimeout(() => this.fail(new GrpcFault("DEADLINE_EXCEEDED", "The deadline has passed.")), ms);
    return true;
  }

  /** Running streams end with the rights of their caller. */
  #setExpiry(expiresAt: number): void {
    const ms = Math.max(0, expiresAt - Date.now());
    if (ms > timerMsMax) return;
    this.#expiry = setTimeout(() => this.fail(new StreamError("token_expired", "The token has expired.")), ms);
  }
}

/** Up to here an answer is copied behind its prefix, so that it leaves in one piece. */
const joinBytesMax = 64 * 1024;

const responseHeaders: Readonly<Record<string, string>> = {
  ":status": "200",
  "content-type": "application/grpc+proto",
  "grpc-accept-encoding": "identity,gzip",
};

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** Milliseconds of a `grpc-timeout`, at least one; undefined when it is none. */
const parseTimeout = (raw: string): number | undefined => {
  const match = /^(\d{1,8})([HMSmun])$/.exec(raw);
  const unit = unitMs[match?.[2] ?? ""];
  return match === null || unit === undefined ? undefined : Math.max(1, Math.ceil(Number(match[1]) * unit));
};
