/**
 * What a shared case gets: a server, a client of the transport under test, and HTTP for what only HTTP can do.
 * @module
 */
import { afterAll, afterEach, beforeAll } from "bun:test";
import type { StreamClient } from "../client.ts";
import { HttpClient } from "../http-client.ts";
import type { TestServer } from "../server.ts";

/** Opens a client of one transport and format. */
export type MakeClient = (server: TestServer) => Promise<StreamClient>;

/** Given to every group of cases. */
export interface CaseContext {
  readonly makeClient: MakeClient;
  server(): TestServer;
  /** The client that all cases of the group share. */
  client(): StreamClient;
  /** Another one, closed after the case. */
  open(): Promise<StreamClient>;
  /** Purging, consumers' configuration and state: HTTP has them, whatever transport is tested. */
  admin(): HttpClient;
}

/** Registers the hooks; call inside `describe`. */
export const useCaseContext = (server: () => TestServer, makeClient: MakeClient): CaseContext => {
  let shared: StreamClient | undefined;
  let opened: StreamClient[] = [];
  beforeAll(async () => {
    shared = await makeClient(server());
  });
  afterEach(async () => {
    const closing = opened;
    opened = [];
    await Promise.all(closing.map((client) => client.close()));
  });
  afterAll(async () => {
    await shared?.close();
  });
  return {
    makeClient,
    server,
    client: () => {
      if (shared === undefined) throw new Error("no client before the first case");
      return shared;
    },
    open: async () => {
      const client = await makeClient(server());
      opened.push(client);
      return client;
    },
    admin: () => new HttpClient(server().url),
  };
};
