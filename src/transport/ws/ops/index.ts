/**
 * The operations of the WebSocket, by name.
 * @module
 */
import type { Connection } from "../connection.ts";
import type { Frame } from "../frames.ts";
import { auth } from "./auth.ts";
import { fetch } from "./fetch.ts";
import { publish, publishBatch } from "./publish.ts";
import { ack, nack } from "./settle.ts";
import { credit, subscribe, unsubscribe } from "./subscribe.ts";

/**
 * Performs one request; its answer goes through the connection's outbox, now or later.
 * @param bytes size of its frame
 * @throws StreamError for what is wrong with the request itself
 */
export const perform = (connection: Connection, frame: Frame, bytes: number): void => {
  switch (frame.op) {
    case "publish":
      publish(connection, frame, bytes);
      break;
    case "publish_batch":
      publishBatch(connection, frame, bytes);
      break;
    case "subscribe":
      subscribe(connection, frame, bytes);
      break;
    case "credit":
      credit(connection, frame);
      break;
    case "fetch":
      fetch(connection, frame, bytes);
      break;
    case "ack":
      ack(connection, frame, bytes);
      break;
    case "nack":
      nack(connection, frame, bytes);
      break;
    case "unsubscribe":
      unsubscribe(connection, frame);
      break;
    case "auth":
      auth(connection, frame, bytes);
      break;
    case "ping":
      connection.reply("pong", frame.id, {});
      break;
  }
};
