/**
 * WebSocket connections, their frames and requests.
 * @module
 */
import type { Exposition, Sample } from "./exposition.ts";

/** Close codes from 3000 on that the server itself gives. */
const serverCodes: ReadonlySet<number> = new Set([
  ...[3001, 3005, 3008, 3501, 3507],
  // Those of GraphQL.
  ...[4008, 4400, 4401, 4403, 4408, 4409, 4429, 4500],
]);

/** Where the transport is asked. */
export interface WebSocketSources {
  readonly figures: WebSocketFigures;
  readonly connections: () => number;
  readonly unsentBytes: () => { readonly total: number; readonly max: number };
}

/** Counts what the transport tells. */
export class WebSocketFigures {
  readonly counts = { opened: 0, received: 0, receivedBytes: 0, sent: 0, sentBytes: 0 };
  readonly closings = new Map<string, number>();
  readonly requests = new Map<string, number>();
  readonly errors = new Map<string, number>();

  opened(): void {
    this.counts.opened++;
  }

  closed(code: number): void {
    add(this.closings, codeLabel(code));
  }

  received(bytes: number): void {
    this.counts.received++;
    this.counts.receivedBytes += bytes;
  }

  sent(bytes: number): void {
    this.counts.sent++;
    this.counts.sentBytes += bytes;
  }

  requested(op: string): void {
    add(this.requests, op);
  }

  failed(code: string): void {
    add(this.errors, code);
  }
}

const add = (counts: Map<string, number>, key: string): void => {
  counts.set(key, (counts.get(key) ?? 0) + 1);
};

/** Puts them on the page. */
export const showWebSockets = (page: Exposition, { figures, connections, unsentBytes }: WebSocketSources): void => {
  const { counts } = figures;
  page.gauge("mts_websocket_connections", "Open WebSocket connections.", connections);
  page.counter("mts_websocket_connections_opened_total", "WebSocket connections since the start.", () => counts.opened);
  page.counter("mts_websocket_connections_closed_total", "WebSocket connections that have ended, by close code.", () =>
    labelled("code", figures.closings),
  );
  page.counter("mts_websocket_frames_received_total", "WebSocket frames from clients.", () => counts.received);
  page.counter("mts_websocket_received_bytes_total", "Bytes of these frames.", () => counts.receivedBytes);
  page.counter("mts_websocket_frames_sent_total", "WebSocket frames to clients.", () => counts.sent);
  page.counter("mts_websocket_sent_bytes_total", "Bytes of these frames.", () => counts.sentBytes);
  page.counter("mts_websocket_requests_total", "Requests over WebSockets, by operation.", () =>
    labelled("op", figures.requests),
  );
  page.counter("mts_websocket_errors_total", "Errors sent over WebSockets, by code.", () =>
    labelled("code", figures.errors),
  );
  page.gauge("mts_websocket_unsent_bytes", "Bytes for clients that have not reached the network.", () => {
    return unsentBytes().total;
  });
  page.gauge("mts_websocket_unsent_bytes_max", "The same of the connection that has the most.", () => {
    return unsentBytes().max;
  });
};

/** Counts by one label. */
export const labelled = (label: string, counts: ReadonlyMap<string, number>): Sample[] =>
  [...counts].map(([value, count]) => [{ [label]: value }, count]);

/** A client may close with any code from 3000 on; a label for each would be memory without end. */
const codeLabel = (code: number): string => (code < 3000 || serverCodes.has(code) ? String(code) : "other");
