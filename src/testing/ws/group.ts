/**
 * What WebSocket's own cases share: a server, connections that are closed after each case, publishers.
 * @module
 */
import { afterEach } from "bun:test";
import { upTo } from "../expectations.ts";
import { HttpClient } from "../http-client.ts";
import { RawWs } from "../raw-ws.ts";
import type { TestServer } from "../server.ts";
import { WsClient, type WsProtocol } from "../ws-client.ts";

/** Given to every group. */
export interface WsGroup {
  readonly server: () => TestServer;
  readonly admin: () => HttpClient;
  /** Closed after the case. */
  readonly open: (protocol?: WsProtocol) => Promise<WsClient>;
  /** Closed after the case. */
  readonly openRaw: (protocol?: WsProtocol) => Promise<RawWs>;
  /** Publishes messages whose bodies are their numbers. */
  readonly fill: (subject: string, count: number, first?: number) => Promise<void>;
}

/** Registers the hook; call inside `describe`. */
export const useWsGroup = (server: () => TestServer): WsGroup => {
  let closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    const now = closing;
    closing = [];
    await Promise.all(now.map((close) => close()));
  });
  const admin = (): HttpClient => new HttpClient(server().url, "msgpack");
  return {
    server,
    admin,
    open: async (protocol = "mts.msgpack.v1") => {
      const client = await WsClient.connect(server().wsUrl, protocol);
      closing.push(() => client.close());
      return client;
    },
    openRaw: async (protocol = "mts.msgpack.v1") => {
      const raw = await RawWs.connect(server().wsUrl, protocol);
      closing.push(() => {
        raw.socket.destroy();
        return raw.socket.closed;
      });
      return raw;
    },
    fill: async (subject, count, first = 1) => {
      await admin().publishBatch(upTo(count, first).map((index) => ({ subject, body: `${index}` })));
    },
  };
};
