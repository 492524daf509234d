/**
 * What every connection of the transport shares.
 * @module
 */

import type { Authenticator } from "../../auth/contract.ts";
import type { ByteBudget } from "../../core/admission.ts";
import type { ErrorCode } from "../../core/errors.ts";
import type { Connection } from "./connection.ts";
import type { Expiry } from "./expiry.ts";
import type { Op } from "./frames.ts";
import type { WsTimers } from "./heartbeat.ts";

/** Where the transport reports what the client must not see. */
export interface WsLog {
  /** @param event a short name, e.g. `ws_request_failed`; @param fields what belongs to it */
  error(event: string, fields: Readonly<Record<string, unknown>>): void;
}

/** Counters; called for every frame, so they must be cheap. */
export interface WsMetrics {
  opened(): void;
  /** @param code close code as seen by the server */
  closed(code: number): void;
  received(bytes: number): void;
  sent(bytes: number): void;
  /** @param op operation of a readable request */
  requested(op: Op): void;
  /** @param code of an error that was sent */
  failed(code: ErrorCode): void;
}

/** Bounds of one connection. */
export interface ConnectionLimits {
  readonly bodyBytesMax: number;
  readonly frameBytesMax: number;
  /** Unsent bytes at which the connection is closed as too slow. */
  readonly unsentBytesMax: number;
  readonly subscriptionsMax: number;
  /** Requests that wait for their answer, waiting fetches included. */
  readonly requestsMax: number;
  /** Bytes of their frames. */
  readonly requestBytesMax: number;
}

/** What a connection works with. */
export interface ConnectionContext {
  readonly authenticator: Authenticator;
  readonly timers: WsTimers;
  /** Ends connections whose token has expired. */
  readonly expiry: Expiry;
  /** Sockets whose caller is not known yet. */
  readonly unknown: Set<Connection>;
  readonly limits: ConnectionLimits;
  /** Bytes of requests under way, shared with the other transports. */
  readonly budget: ByteBudget;
  readonly log: WsLog;
  readonly metrics: WsMetrics;
  /** Says who the server is and what it takes; the first frame that a known caller gets. */
  welcome(connection: Connection): void;
  /** True while the server stops: requests that come now are refused. */
  stopping(): boolean;
}
