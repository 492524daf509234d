/**
 * What a method of a service is to the server, and what a call is to a method.
 * @module
 */
import type { Broker } from "../../broker/contract.ts";
import type { RequestHeaders } from "./http2/request.ts";
import type { Trailers } from "./status.ts";

/** One call as its method sees it. */
export interface GrpcCall {
  /** Metadata of the client. */
  readonly metadata: RequestHeaders;
  /** The stream as this caller may use it. */
  readonly broker: Broker;
  /** Aborted when the client cancels or goes, the deadline passes, the rights end, or the server stops. */
  readonly signal: AbortSignal;
  /** False when more should wait for `room`. */
  readonly writable: boolean;
  /** Sends the headers of the answer, so that the client knows that the stream runs. */
  open(): void;
  /** Sends what is framed already (each message behind its five bytes); false when more should wait. */
  send(frames: Uint8Array): boolean;
  /** Resolves when there is room again; rejects when the call is over. */
  room(): Promise<void>;
  /** Runs whenever there is room again. */
  onDrain(listener: () => void): void;
  /** Whether the client has to wait with more; what it may send meanwhile is bounded by its window. */
  hold(isHeld: boolean): void;
  /** Adds trailers to an end with OK. */
  addTrailers(trailers: Trailers): void;
  /** Ends the call with OK. */
  end(trailers?: Trailers): void;
  /** Ends the call with the status of what was thrown. Without effect when it is over. */
  fail(thrown: unknown): void;
}

/** The receiving half of a call whose client sends a stream. */
export interface MessageReceiver {
  message(bytes: Buffer): void;
  /** The client will send no more. */
  ended(): void;
}

/** A method. What a handler throws, or rejects with, is the status of the call. */
export type Method =
  /** One message in, one out: the answer is not framed. */
  | { readonly kind: "unary"; handle(request: Buffer, call: GrpcCall): Uint8Array | Promise<Uint8Array> }
  /** One message in; the handler sends and ends. */
  | { readonly kind: "server_stream"; handle(request: Buffer, call: GrpcCall): void | Promise<void> }
  | { readonly kind: "bidi"; open(call: GrpcCall): MessageReceiver };

/** A method and where it is called. */
export interface Route {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** May be called without a token. */
  readonly open?: true;
  readonly method: Method;
}
