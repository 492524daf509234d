/**
 * `info`: the server, or one subject with its consumers.
 * @module
 */
import { MtsError } from "../client/index.ts";
import { CliFailure, type Command } from "./command.ts";
import { HttpApi, segment, type View } from "./http.ts";
import type { Io } from "./io.ts";
import { type ServerAccess, serverOf } from "./server.ts";
import { viewsIn } from "./subjects.ts";
import { Table } from "./table.ts";

/** How long the welcome may take. */
const welcomeMsMax = 10_000;

export const infoCommand: Command = {
  name: "info",
  usage: "[SUBJECT] [--json]",
  summary: "show the server, or a subject and its consumers",
  operands: { min: 0, max: 1 },
  options: { json: { kind: "flag", meaning: "print one JSON object" } },
  run: async (given, io) => {
    const server = serverOf(given, io);
    const api = new HttpApi(server, io.stop);
    const [subject] = given.operands;
    const isJson = given.flag("json");
    return subject === undefined ? showServer(api, server, isJson, io) : showSubject(api, subject, isJson, io);
  },
};

const showServer = async (api: HttpApi, server: ServerAccess, isJson: boolean, io: Io): Promise<number> => {
  const ready = await api.request("/readyz", {}, [503]);
  const welcome = await readWelcome(server.url, await server.token?.(), io.stop);
  const view = {
    url: api.url,
    ...Object.fromEntries(Object.entries(welcome).filter(([name]) => name !== "op")),
    ...ready,
  };
  await io.stdout.write(isJson ? `${JSON.stringify(view)}\n` : lines(view));
  // Somebody asks for the state, and this is it; a server that is not ready still is a failure for a script.
  return ready["ready"] === true ? 0 : 1;
};

const showSubject = async (api: HttpApi, subject: string, isJson: boolean, io: Io): Promise<number> => {
  const path = `/v1/subjects/${segment(subject)}`;
  const details = await api.request(path);
  const consumers = viewsIn(await api.request(`${path}/consumers`), "consumers");
  if (isJson) {
    await io.stdout.write(`${JSON.stringify({ ...details, consumers })}\n`);
    return 0;
  }
  const { created_at: createdAt, last_published_at: lastPublishedAt, ...rest } = details;
  await io.stdout.write(
    lines({ ...rest, created_at: timeText(createdAt), last_published_at: timeText(lastPublishedAt) }),
  );
  if (consumers.length > 0) await io.stdout.write(`\n${consumerTable(consumers)}`);
  return 0;
};

const consumerColumns = ["name", "ack", "acked_through", "delivered_through", "pending", "ack_pending", "redelivered"];

const consumerTable = (consumers: readonly View[]): string => {
  const table = new Table(consumerColumns.map((column) => column.toUpperCase().replaceAll("_", " ")));
  const rows = consumers.map((consumer) => consumerColumns.map((column) => text(consumer[column])));
  return table
    .lines(rows)
    .map((line) => `${line}\n`)
    .join("");
};

const timeText = (ms: unknown): string => (typeof ms === "number" ? new Date(ms).toISOString() : "never");

const text = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

const lines = (view: View): string => {
  const width = Math.max(...Object.keys(view).map((name) => name.length));
  return Object.entries(view)
    .map(([name, value]) => `${name.padEnd(width)}  ${text(value)}\n`)
    .join("");
};

/** How a server ends a connection that showed no token. */
const closeNotAuthenticated = 3501;

const notAuthenticated = (code: number): MtsError =>
  new MtsError("unauthenticated", "The server asks for a token.", false, { close_code: code });

const noWebSocket = (url: string): CliFailure =>
  new CliFailure(`${url} has no WebSocket at /v1/ws; check --url, the token and what is in between`);

/** The first frame of the WebSocket, which says what the server is and what it takes. */
const readWelcome = (url: string, token: string | undefined, stop: AbortSignal): Promise<View> =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(`${url.replace(/^http/, "ws")}/v1/ws`, {
      protocols: ["mts.json.v1"],
      ...(token !== undefined && { headers: { authorization: `Bearer ${token}` } }),
    });
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      stop.removeEventListener("abort", stopped);
      socket.onmessage = socket.onclose = null;
      socket.close();
      settle();
    };
    const failed = ({ code }: { readonly code?: number }): void =>
      end(() => reject(code === closeNotAuthenticated ? notAuthenticated(code) : noWebSocket(url)));
    const stopped = (): void => end(() => reject(stop.reason as Error));
    const timer = setTimeout(() => failed({}), welcomeMsMax);
    stop.addEventListener("abort", stopped);
    socket.onclose = failed;
    socket.onmessage = ({ data }: MessageEvent<unknown>) => {
      const welcome: unknown = typeof data === "string" ? JSON.parse(data) : undefined;
      if (typeof welcome !== "object" || welcome === null) failed({});
      else end(() => resolve(welcome as View));
    };
  });
