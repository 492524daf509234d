/**
 * How Bun is told to treat the sockets: what it accepts, what it may queue, what it must leave to this transport. In a
 * file of its own, so that the protocol underneath can be tested with these very options.
 * @module
 */
import { frameBytesMax } from "../../core/limits.ts";

/** What Bun may queue for one socket; the transport ends a connection long before. */
const backpressureBytesMax = 2 ** 31 - 1;

/** The options of `Bun.serve({websocket})` beside its handlers, for a server whose largest body is `bodyBytesMax`. */
export const socketOptions = (bodyBytesMax: number) => ({
  // Bun closes with 1009 what is larger.
  maxPayloadLength: frameBytesMax(bodyBytesMax),
  backpressureLimit: backpressureBytesMax,
  closeOnBackpressureLimit: false,
  // The transport's own heartbeat decides who is gone.
  idleTimeout: 0,
  sendPings: false,
  perMessageDeflate: false,
});
