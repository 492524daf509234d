/**
 * Errors as GraphQL has them: a message for people and, in `extensions`, the stable code of the stream with what belongs
 * to it. What went wrong inside the server stays in its log.
 * @module
 */
import { type ExecutionResult, type FormattedExecutionResult, GraphQLError } from "graphql";
import { type ErrorCode, errorCodes, type StreamError, toStreamError } from "../../core/errors.ts";

/** Where failures of the server itself are written. */
export interface GraphqlLog {
  error(event: string, fields: Readonly<Record<string, unknown>>): void;
}

/** How it is answered over HTTP: what cannot be read is a 400 in any case. */
const unreadable = { status: 400 };
/** By GraphQL over HTTP a 200 as `application/json`, a 400 as `application/graphql-response+json`. */
const wrong = { spec: true, status: 400 };

/** A document or a request that is wrong in itself. */
export const requestFault = (error: GraphQLError, code: ErrorCode = "malformed_request"): GraphQLError =>
  new GraphQLError(error.message, {
    source: error.source,
    positions: error.positions,
    nodes: error.nodes,
    path: error.path,
    extensions: {
      code,
      retryable: false,
      http: code === "malformed_body" ? unreadable : (error.extensions["http"] ?? wrong),
    },
  });

/** An error of the stream, at the place where it showed. */
export const streamFault = (error: StreamError, place?: GraphQLError): GraphQLError =>
  new GraphQLError(error.message, {
    nodes: place?.nodes,
    path: place?.path,
    extensions: { ...error.fields, code: error.code, retryable: error.retryable },
  });

/** An error as its reader may see it. */
export const shownError = (error: unknown, log: GraphqlLog): GraphQLError => {
  const place = error instanceof GraphQLError ? error : undefined;
  const cause = rootOf(error);
  if (cause instanceof GraphQLError) {
    const known = codeOf(cause.extensions["code"]);
    // GraphQL's own: a variable of the wrong type, a field that is not there.
    return known === undefined ? requestFault(cause, codeOfKind(cause.extensions["code"])) : cause;
  }
  const fault = toStreamError(cause);
  if (fault.code === "internal") log.error("graphql_failed", { error: fault });
  return streamFault(fault, place);
};

/** A result with errors as its reader may see them. */
export const shownResult = (result: ExecutionResult, log: GraphqlLog): FormattedExecutionResult =>
  result.errors === undefined
    ? { data: result.data ?? null }
    : {
        ...("data" in result ? { data: result.data ?? null } : {}),
        errors: result.errors.map((error) => plainError(shownError(error, log))),
      };

/** Without what only the answer over HTTP needs. */
export const plainError = (error: GraphQLError): ReturnType<GraphQLError["toJSON"]> => {
  const extensions = Object.fromEntries(Object.entries(error.extensions).filter(([name]) => name !== "http"));
  return { ...error.toJSON(), extensions };
};

/** What an error began with. */
const rootOf = (error: unknown): unknown => {
  let found = error;
  while (found instanceof GraphQLError && found.cause !== undefined && found.cause !== null) found = found.cause;
  return found;
};

const codeOf = (raw: unknown): ErrorCode | undefined =>
  typeof raw === "string" && Object.hasOwn(errorCodes, raw) ? (raw as ErrorCode) : undefined;

/** What the server around us calls its own errors. */
const codeOfKind = (raw: unknown): ErrorCode => (raw === "BAD_REQUEST" ? "malformed_body" : "invalid_parameter");
