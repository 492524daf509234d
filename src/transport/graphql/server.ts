/**
 * GraphQL over HTTP, by graphql-yoga: questions by GET and POST, subscriptions as server-sent events. Documents are
 * checked by our own rules, and errors leave with our codes.
 * @module
 */
import type { ExecutionResult, GraphQLSchema } from "graphql";
import type { Principal } from "../../auth/contract.ts";
import type { Documents } from "./documents.ts";
import { type GraphqlLog, shownError } from "./errors.ts";
import type { GraphqlContext } from "./schema.ts";
import { loadYoga, type YogaPlugin } from "./yoga.ts";

/** One request, with its body read. */
export interface GraphqlCall {
  readonly request: Request;
  /** Undefined for GET. */
  readonly body: Uint8Array | undefined;
  readonly caller: Principal;
}

/** What answers. */
export interface GraphqlServerOptions {
  readonly schema: GraphQLSchema;
  readonly documents: Documents;
  readonly log: GraphqlLog;
}

/** Makes what answers requests. */
export const createGraphqlServer = (options: GraphqlServerOptions): ((call: GraphqlCall) => Promise<Response>) => {
  let yoga: ReturnType<typeof startYoga> | undefined;
  return async ({ request, body, caller }) => {
    const { fetch } = await (yoga ??= startYoga(options));
    const headers = new Headers(request.headers);
    // HEAD is the GET whose body is left out, and no stream is opened for it.
    const isHead = request.method === "HEAD";
    if (isHead) headers.set("accept", "application/json");
    const asked = new Request(request.url, {
      method: isHead ? "GET" : request.method,
      headers,
      signal: request.signal,
      ...(body === undefined ? {} : { body }),
    });
    const streams: AsyncIterator<unknown>[] = [];
    const context: GraphqlContext = { caller, opened: (stream) => streams.push(stream) };
    const response = await fetch(asked, context);
    const isStream = response.headers.get("content-type")?.startsWith("text/event-stream") === true;
    if (!isStream) for (const stream of streams) void stream.return?.();
    return response;
  };
};

const startYoga = async ({ schema, documents, log }: GraphqlServerOptions) => {
  const { createYoga } = await loadYoga();
  return createYoga({
    schema,
    graphqlEndpoint: "/graphql",
    // The page, CORS, limits of bodies and the log are the server's own.
    graphiql: false,
    landingPage: false,
    cors: false,
    logging: false,
    multipart: false,
    batching: false,
    maxRequestBodySize: false,
    parserAndValidationCache: false,
    maskedErrors: { maskError: (error) => shownError(error, log) },
    fetchAPI: { Request, Response, ReadableStream, TextEncoder, URL },
    plugins: [checkedDocuments(documents), shownErrors(log)],
  });
};

const checkedDocuments = (documents: Documents): YogaPlugin => ({
  onParse: ({ params, setParsedDocument }) => {
    const checked = documents.check(String(params.source));
    if (checked.document === undefined) throw checked.faults[0];
    setParsedDocument(checked.document);
  },
  onValidate: ({ context, setResult }) => {
    setResult(documents.check(context.params.query ?? "").faults);
  },
});

/** Gives codes to the errors that come before anything is executed. */
const shownErrors = (log: GraphqlLog): YogaPlugin => ({
  onResultProcess: ({ result, setResult }) => {
    if (!isFailed(result)) return;
    setResult({ ...result, errors: result.errors.map((error) => shownError(error, log)) });
  },
});

const isFailed = (result: object): result is ExecutionResult & Required<Pick<ExecutionResult, "errors">> =>
  "errors" in result && Array.isArray(result.errors);
