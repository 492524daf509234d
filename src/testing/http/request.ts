/**
 * Requests of HTTP's own cases: the response as it is, and refusals checked in one line.
 * @module
 */
import { expect } from "bun:test";
import type { ClientError } from "../client.ts";
import { readProblem } from "../http-client.ts";
import type { TestServer } from "../server.ts";

/** Any request, whatever the status. */
export const request = (server: TestServer, method: string, path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(server.url + path, { ...init, method, redirect: "manual" });

/** A request with a JSON body. */
export const sendJson = (server: TestServer, method: string, path: string, body: unknown): Promise<Response> =>
  request(server, method, path, {
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });

/** The response must be a problem with this status and code. */
export const expectProblem = async (response: Response, status: number, code?: string): Promise<ClientError> => {
  const where = `${response.url} answered ${response.status}`;
  if (response.ok) throw new Error(`${where} where ${status} was expected: ${await response.text()}`);
  const problem = await readProblem(response);
  expect({ where, status: response.status, code: code === undefined ? code : problem.code }).toEqual({
    where,
    status,
    code,
  });
  return problem;
};

/** Media type without parameters. */
export const mediaType = (response: Response): string =>
  (response.headers.get("content-type") ?? "").split(";")[0] ?? "";
