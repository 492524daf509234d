/**
 * The fuzz over HTTP: requests that a client can send, with spoilt bodies, paths, queries and headers. Each is
 * answered with a status of the contract.
 * @module
 */
import type { SeededRandom } from "../../faults/random.ts";
import { type Request, realRequest } from "./corpus.ts";
import { spoil } from "./frames.ts";
import type { Lane } from "./lane.ts";
import { mutateBytes, randomBytes } from "./mutate.ts";
import { within } from "./patience.ts";

/** A long poll that chance made is left by its client after so long. */
const pollMsMax = 200;
/** What the server may answer above 499: busy, stopping, unknown, full. */
const excused: ReadonlySet<number> = new Set([503, 504, 507]);

/** Sends requests until nothing is left to send. */
export const fuzzRequests = async (lane: Lane): Promise<void> => {
  while (lane.figures.failure === undefined && lane.next()) {
    try {
      await exchange(lane);
    } catch (error) {
      lane.fail(error instanceof Error ? error.message : String(error));
    }
  }
};

const exchange = async (lane: Lane): Promise<void> => {
  const { random, figures } = lane;
  const real = realRequest(random);
  const path = random.integer(0, 2) === 0 ? spoiltPath(random, real.path) : real.path;
  const headers = random.integer(0, 2) === 0 ? spoiltHeaders(random, real.headers) : real.headers;
  const body = bodyOf(random, real);
  const text = `${real.method} ${path} ${JSON.stringify(headers)} `;
  lane.sending(Buffer.concat([Buffer.from(text), body ?? Buffer.alloc(0)]));
  const polls = `${path}${body?.toString("latin1") ?? ""}`.includes("wait_ms");
  const response = await send(lane, real.method, path, {
    headers,
    ...(body === undefined ? {} : { body: new Uint8Array(body) }),
    ...(polls ? { signal: AbortSignal.timeout(pollMsMax) } : {}),
  });
  if (response === undefined) return;
  // The type of a stored body is what its publisher said, true or not.
  const type = response.headers.has("x-sequence") ? "" : (response.headers.get("content-type") ?? "");
  if (type.startsWith("text/event-stream")) {
    figures.statuses.add(`${response.status} event stream`);
    await response.body?.cancel();
    return;
  }
  const answer = await within("the rest of an answer", response.bytes());
  figures.statuses.add(`${response.status}${describe(lane, type, answer)}`);
  if (response.status >= 500 && !excused.has(response.status)) lane.fail(`answered ${response.status}`);
};

/** Undefined when the client left, or never could send it. */
const send = async (lane: Lane, method: string, path: string, init: RequestInit): Promise<Response | undefined> => {
  try {
    return await within("an answer", fetch(`${lane.server.url}${path}`, { ...init, method, redirect: "manual" }));
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (error.name === "TimeoutError") lane.figures.statuses.add("client left");
    // What `fetch` itself refuses to send: header values and addresses that no client could write.
    else if (error instanceof TypeError) lane.figures.statuses.add("not sendable");
    else throw error;
    return undefined;
  }
};

/** The code of a problem, and whether the answer is what its type says. */
const describe = (lane: Lane, type: string, answer: Uint8Array): string => {
  if (answer.length === 0 || !/json/.test(type) || type.includes("ndjson")) return "";
  const value: unknown = JSON.parse(Buffer.from(answer).toString("utf8"));
  if (!type.startsWith("application/problem+json")) return "";
  const problem = value as Readonly<Record<string, unknown>>;
  return ` ${lane.refused(problem["code"], problem["detail"])}`;
};

const pathParts = [
  "%00",
  "%ff",
  "%2e%2e",
  "%2F",
  "%",
  "%zz",
  "//",
  "/./",
  "?",
  "&",
  "=",
  "#",
  "*",
  ">",
  "é",
  "\u0301",
  "-1",
];
const parameters = [
  "limit=-1",
  "limit=1e9",
  "wait_ms=99999999",
  "max_bytes=0",
  "from=",
  "from=x",
  "headers_only=2",
  "x=1",
  "limit=1&limit=2",
  "token=abc",
  "deliver=x",
  "deliver=pointer",
  "wait=acked:0",
];

const spoiltPath = (random: SeededRandom, path: string): string => {
  const at = random.integer(1, path.length);
  switch (random.integer(0, 4)) {
    case 0:
      return `${path}${path.includes("?") ? "&" : "?"}${parameters[random.integer(0, parameters.length - 1)] ?? ""}`;
    case 1:
      return `${path.slice(0, at)}${pathParts[random.integer(0, pathParts.length - 1)] ?? ""}${path.slice(at)}`;
    case 2:
      return `${path.slice(0, at)}${path.slice(at + random.integer(1, 4))}`;
    case 3:
      return `${path.slice(0, at)}${String.fromCharCode(random.integer(33, 126))}${path.slice(at + 1)}`;
    default:
      return `${path.slice(0, at)}${"a".repeat(random.integer(1, 2000))}${path.slice(at)}`;
  }
};

const headerNames = [
  "content-type",
  "accept",
  "range",
  "if-range",
  "if-none-match",
  "idempotency-key",
  "expected-last-sequence",
  "x-meta-é",
  "x-meta-content-type",
  "x-meta-a",
  "origin",
  "authorization",
  "content-encoding",
  "accept-encoding",
  "message-ttl",
  "delay",
  "deliver-at",
  "last-event-id",
  "access-control-request-method",
  "upgrade",
  "sec-websocket-key",
];
const headerValues = [
  "",
  "*",
  "null",
  "application/json; charset=utf-16",
  "application/msgpack",
  "text/event-stream;q=0",
  "bytes=0-0",
  "bytes=-99999999999999999999",
  "bytes=5-1,7-",
  'W/"a"',
  "-1",
  "99999999999999999999",
  "\xff\xfe",
  "gzip",
  "Bearer a.b.c",
  "http://evil.example",
  "websocket",
  "application/json;q=1.5,,;,text/html;q=abc",
];

const spoiltHeaders = (random: SeededRandom, headers: Readonly<Record<string, string>>): Record<string, string> => {
  const name = headerNames[random.integer(0, headerNames.length - 1)] ?? "accept";
  const known = headerValues[random.integer(0, headerValues.length - 1)] ?? "";
  const value = random.integer(0, 3) === 0 ? randomBytes(random, random.integer(0, 60)).toString("latin1") : known;
  return { ...headers, [name]: random.integer(0, 50) === 0 ? "x".repeat(random.integer(1, 17_000)) : value };
};

const bodyOf = (random: SeededRandom, { method, body, form }: Request): Buffer | undefined => {
  if (body === undefined || method === "GET" || method === "HEAD") return undefined;
  if (body instanceof Uint8Array) return Buffer.from(body);
  if (form !== "ndjson" || !Array.isArray(body)) return spoil(random, body, [body], form === "msgpack");
  const lines = Buffer.concat(
    (body as unknown[]).flatMap((line) => [spoil(random, line, body, false), Buffer.from("\n")]),
  );
  return random.integer(0, 1) === 0 ? lines : mutateBytes(random, lines, lines);
};
