/**
 * What the SDK takes from outside: the WebSocket, HTTP, time and randomness. Everything in it is there in browsers,
 * Bun and Node; tests may put their own in its place.
 * @module
 */
import { invalid, MtsError } from "./errors.ts";
import type { ConnectOptions } from "./options.ts";

/** The part of the standard WebSocket that is used. The `ws` package for Node has it too. */
export interface WebSocketLike {
  binaryType: string;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(bytes: Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
}

/** A WebSocket class. */
export type WebSocketConstructor = new (url: string, protocols: string | string[]) => WebSocketLike;

/** The part of `fetch` that is used. */
export type FetchLike = (
  url: string,
  init: {
    readonly method: string;
    readonly signal: AbortSignal;
    readonly body?: string;
    readonly headers?: Record<string, string>;
  },
) => Promise<{ readonly status: number; readonly ok: boolean; json(): Promise<unknown> }>;

/** The outside. */
export interface Environment {
  readonly webSocket: WebSocketConstructor;
  readonly fetch: FetchLike;
  /** Milliseconds from any fixed moment, never going backwards. */
  nowMs(): number;
  /** Calls `then` after `ms` unless the returned function is called first. @param idle must not keep a process alive */
  after(ms: number, then: () => void, idle?: boolean): () => void;
  /** From 0 to below 1. */
  random(): number;
  /** A name that no other client has, of at most 40 letters and digits. */
  uniqueName(): string;
}

const after = (ms: number, then: () => void, idle?: boolean): (() => void) => {
  // The longest time that `setTimeout` can count; what is longer never comes.
  const timerMsMax = 2 ** 31 - 1;
  const timer = ms > timerMsMax ? undefined : setTimeout(then, ms);
  // Timers are objects in Node and Bun, numbers in browsers.
  if (idle) (timer as { unref?(): void } | undefined)?.unref?.();
  return () => clearTimeout(timer);
};

/**
 * The runtime's own, with what was given in its place.
 * @throws MtsError `no_websocket`
 */
export const environment = ({ webSocket, fetch: fetchGiven, environment: given }: ConnectOptions): Environment => {
  webSocket ??= (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
  if (!webSocket) {
    throw new MtsError("no_websocket", "Give a WebSocket class as the option webSocket.");
  }
  return {
    webSocket,
    fetch: fetchGiven ?? ((url, init) => fetch(url, init)),
    nowMs: () => performance.now(),
    after,
    random: Math.random,
    uniqueName: () => crypto.getRandomValues(new Uint32Array(3)).join(""),
    ...given,
  };
};

/** Where the server is. */
export interface Endpoints {
  readonly wsUrl: string;
  /** Without a slash at the end. */
  readonly httpUrl: string;
}

/**
 * @param url `http(s)://` or `ws(s)://`, with or without `/v1/ws`; a path in front of it is kept
 * @throws MtsError `invalid_parameter`
 */
export const endpoints = (url: string | URL): Endpoints => {
  const base = /^(?:http|ws)(s?:\/\/[^?#]+?)(?:\/v1\/ws)?\/*(?:[?#].*)?$/i.exec(String(url).trim())?.[1];
  if (!base) throw invalid("url", "must be http(s):// or ws(s)://.");
  return { wsUrl: `ws${base}/v1/ws`, httpUrl: `http${base}` };
};
