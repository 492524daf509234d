/**
 * What the SDK takes from outside: the WebSocket, HTTP, time and randomness. Everything in it is there in browsers,
 * Bun and Node; tests may put their own in its place.
 * @module
 */
import { invalid, MtsError } from "./errors.ts";

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
export type WebSocketConstructor = new (url: string, protocols: string) => WebSocketLike;

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
  /** A name that no other client has, of letters and digits. */
  uniqueName(): string;
}

/** Longest time that `setTimeout` can count. */
const timerMsMax = 2 ** 31 - 1;

const after = (ms: number, then: () => void, idle?: boolean): (() => void) => {
  const timer: unknown = setTimeout(then, Math.min(ms, timerMsMax));
  // Timers are objects in Node and Bun, numbers in browsers.
  if (idle) (timer as { unref?(): void }).unref?.();
  return () => clearTimeout(timer as ReturnType<typeof setTimeout>);
};

/**
 * The runtime's own, with what was given in its place.
 * @throws MtsError `no_websocket`
 */
export const environment = (given: Partial<Environment>): Environment => {
  const webSocket = (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
  const all = {
    webSocket,
    fetch: ((url, init) => fetch(url, init)) satisfies FetchLike,
    nowMs: () => performance.now(),
    after,
    random: () => Math.random(),
    uniqueName: () => crypto.getRandomValues(new Uint32Array(4)).reduce((name, word) => name + word.toString(36), ""),
    ...given,
  };
  if (all.webSocket) return { ...all, webSocket: all.webSocket };
  throw new MtsError(
    "no_websocket",
    "There is no WebSocket here (Node has one from 22 on): give one as the option webSocket, e.g. of the ws package.",
  );
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
  const match = /^(?:http|ws)(s?:\/\/[^?#]+?)(?:\/v1\/ws)?\/*(?:[?#].*)?$/i.exec(String(url).trim());
  if (match === null) throw invalid("url", "must begin with http://, https://, ws:// or wss://.");
  const base = match[1] ?? "";
  return { wsUrl: `ws${base}/v1/ws`, httpUrl: `http${base}` };
};
