/**
 * The messages of graphql-transport-ws that come from clients, and how those to them are written.
 * @module
 */

/** Longest id of an operation in characters: it is in every message of it. */
const idCharsMax = 256;

/** What a client says. */
export type ClientMessage =
  | { readonly type: "connection_init"; readonly payload: Readonly<Record<string, unknown>> | undefined }
  | { readonly type: "ping" | "pong"; readonly payload: unknown }
  | { readonly type: "subscribe"; readonly id: string; readonly payload: OperationRequest }
  | { readonly type: "complete"; readonly id: string };

/** What is to be executed. */
export interface OperationRequest {
  readonly query: string;
  readonly operationName: string | undefined;
  readonly variables: Readonly<Record<string, unknown>> | undefined;
}

/** A message that is none; the text goes into the reason of the close. */
export class InvalidMessage extends Error {
  override readonly name = "InvalidMessage";
}

/** @throws InvalidMessage */
export const parseMessage = (text: string): ClientMessage => {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    throw new InvalidMessage("Invalid message: it is not JSON");
  }
  if (!isMap(raw)) throw new InvalidMessage("Invalid message: it must be a map");
  const { type, payload } = raw;
  switch (type) {
    case "connection_init":
      return { type, payload: optionalMap(payload, "payload") };
    case "ping":
    case "pong":
      optionalMap(payload, "payload");
      return { type, payload };
    case "subscribe":
      return { type, id: idOf(raw["id"]), payload: requestOf(payload) };
    case "complete":
      return { type, id: idOf(raw["id"]) };
    default:
      throw new InvalidMessage("Invalid message: there is no such type");
  }
};

const isMap = (raw: unknown): raw is Readonly<Record<string, unknown>> =>
  typeof raw === "object" && raw !== null && !Array.isArray(raw);

const optionalMap = (raw: unknown, name: string): Readonly<Record<string, unknown>> | undefined => {
  if (raw === undefined || raw === null) return undefined;
  if (isMap(raw)) return raw;
  throw new InvalidMessage(`Invalid message: ${name} must be a map`);
};

const idOf = (raw: unknown): string => {
  if (typeof raw === "string" && raw !== "" && raw.length <= idCharsMax) return raw;
  throw new InvalidMessage(`Invalid message: id must be a string of 1 to ${idCharsMax} characters`);
};

const requestOf = (raw: unknown): OperationRequest => {
  if (!isMap(raw)) throw new InvalidMessage("Invalid message: payload must be a map");
  const { query, operationName, variables, extensions } = raw;
  if (typeof query !== "string") throw new InvalidMessage("Invalid message: query must be a string");
  if (operationName !== undefined && operationName !== null && typeof operationName !== "string") {
    throw new InvalidMessage("Invalid message: operationName must be a string");
  }
  optionalMap(extensions, "extensions");
  return { query, operationName: operationName ?? undefined, variables: optionalMap(variables, "variables") };
};

/** How a message to one operation begins; what follows is the same for all that share an execution. */
export const headOf = (id: string): string => `{"id":${JSON.stringify(id)}`;

/** The rest of a `next`. @param payload a result as JSON text */
export const nextTail = (payload: string): string => `,"type":"next","payload":${payload}}`;

/** The rest of an `error`. @param payload a list of errors as JSON text */
export const errorTail = (payload: string): string => `,"type":"error","payload":${payload}}`;

export const completeTail = `,"type":"complete"}`;
export const ack = `{"type":"connection_ack"}`;

/** The answer to a ping. */
export const pong = (payload: unknown): string =>
  payload === undefined ? `{"type":"pong"}` : JSON.stringify({ type: "pong", payload });
