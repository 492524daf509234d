/**
 * A server that asks for tokens, and the issuer that it believes.
 * @module
 */
import { afterAll, beforeAll } from "bun:test";
import { startTestServer, type TestServer } from "../server.ts";
import { TestIssuer } from "./token.ts";

/** Both. */
export interface AuthServer {
  readonly server: TestServer;
  readonly issuer: TestIssuer;
}

/** One server and issuer for a whole test file (or `describe` block). @param env settings beside those of tokens */
export const useAuthServer = (env: Readonly<Record<string, string>> = {}): (() => AuthServer) => {
  let both: AuthServer | undefined;
  beforeAll(async () => {
    const issuer = await TestIssuer.create();
    both = { issuer, server: await startTestServer({ env: { ...issuer.env, ...env } }) };
  }, 30_000);
  afterAll(async () => {
    await both?.server.close();
    await both?.issuer.close();
  }, 30_000);
  return () => {
    if (both === undefined) throw new Error("the server is started before the first test, not earlier");
    return both;
  };
};

/** The header that shows a token. */
export const bearer = (token: string): Readonly<Record<string, string>> => ({ authorization: `Bearer ${token}` });
