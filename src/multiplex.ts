/**
 * Two kinds of WebSockets on one port: Bun has one set of handlers for all of them.
 * @module
 */
import type { ServerWebSocket, WebSocketHandler } from "bun";

/** What happens to sockets of one kind. */
export interface SocketEvents<State> {
  open(socket: ServerWebSocket<State>): void;
  message(socket: ServerWebSocket<State>, frame: string | Buffer): void;
  drain(socket: ServerWebSocket<State>): void;
  /** A ping or a pong. */
  alive(socket: ServerWebSocket<State>): void;
  close(socket: ServerWebSocket<State>, code: number): void;
}

/**
 * Handlers for both kinds; the options (largest frame, what Bun may queue) are those of `first`.
 * @param isSecond tells them by what was given with the upgrade
 */
export const multiplex = <First, Second>(
  first: WebSocketHandler<First>,
  second: SocketEvents<Second>,
  isSecond: (state: First | Second) => state is Second,
): WebSocketHandler<First | Second> => {
  type Either = ServerWebSocket<First | Second>;
  const pick = (socket: Either): socket is ServerWebSocket<Second> & Either => isSecond(socket.data);
  // What is not of the second kind is of the first.
  const asFirst = (socket: Either) => socket as ServerWebSocket<unknown> as ServerWebSocket<First>;
  return {
    ...first,
    open: (socket) => (pick(socket) ? second.open(socket) : first.open?.(asFirst(socket))),
    message: (socket, frame) =>
      pick(socket) ? second.message(socket, frame) : first.message?.(asFirst(socket), frame),
    drain: (socket) => (pick(socket) ? second.drain(socket) : first.drain?.(asFirst(socket))),
    ping: (socket, data) => (pick(socket) ? second.alive(socket) : first.ping?.(asFirst(socket), data)),
    pong: (socket, data) => (pick(socket) ? second.alive(socket) : first.pong?.(asFirst(socket), data)),
    close: (socket, code, reason) =>
      pick(socket) ? second.close(socket, code) : first.close?.(asFirst(socket), code, reason),
  };
};
