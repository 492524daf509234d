/**
 * The words of an OpenAPI 3.0 operation, and the parts that most of ours share: parameters, answers, and the problems
 * that a path can answer, status by status.
 * @module
 */
import { problemContentType } from "../../../codec/problem.ts";
import { type ErrorCode, errorCodes } from "../../../core/errors.ts";
import { mediaTypes, type Representation } from "../accept.ts";

/** A schema object. */
export type Schema = Readonly<Record<string, unknown>>;

/** A parameter object. */
export interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required: boolean;
  readonly description: string;
  readonly schema: Schema;
  /** A value with which the operation works on a fresh server after those before it in the document were tried. */
  readonly example?: unknown;
}

/** Bodies by media type. */
export type Content = Readonly<Record<string, { readonly schema: Schema; readonly example?: unknown }>>;

/** Where an answer leads: parameters of another operation, as runtime expressions. */
export interface Link {
  readonly operationId: string;
  readonly description: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** A response object. */
export interface ResponseObject {
  readonly description: string;
  readonly headers?: Readonly<Record<string, { readonly description: string; readonly schema: Schema }>>;
  readonly content?: Content;
  readonly links?: Readonly<Record<string, Link>>;
}

/** An operation object. */
export interface Operation {
  readonly operationId: string;
  readonly tags: readonly [Tag];
  readonly summary: string;
  readonly description?: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly required: boolean; readonly description?: string; readonly content: Content };
  readonly responses: Readonly<Record<string, ResponseObject>>;
}

/** The groups of the document. */
export const tags = {
  publish: "Putting messages on subjects.",
  read: "Reading messages: pages, long polls, live tails, single bodies.",
  subjects: "Subjects and what is in them.",
  consumers: "Named, durable positions on a subject.",
  policies: "What is kept of subjects, and for how long.",
  events: "Business events: in and out, live, as CloudEvents, and summed by the minute.",
  actors: "Application actors: durable processors of the stream.",
  operations: "Health, metrics and this document.",
} as const;

/** A group of the document. */
export type Tag = keyof typeof tags;

/** A reference to a schema of `schemas.ts`. */
export const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });

/** An integer, bounds inclusive. */
export const integer = (minimum: number, maximum: number, more: Schema = {}): Schema => ({
  type: "integer",
  format: "int64",
  minimum,
  maximum,
  ...more,
});

/** The subject in a path: one segment, so `/` in it is written `%2F`. */
export const subjectInPath: Parameter = {
  name: "subject",
  in: "path",
  required: true,
  description: "The subject, as one percent-encoded segment.",
  schema: ref("Subject"),
  example: "orders.eu",
};

/** The consumer name in a path. */
export const consumerInPath: Parameter = {
  name: "name",
  in: "path",
  required: true,
  description: "The name of the consumer, as one percent-encoded segment.",
  schema: ref("ConsumerName"),
  example: "billing",
};

/** A path parameter. */
export const pathParameterOf = (name: string, description: string, schema: Schema): Parameter => ({
  name,
  in: "path",
  required: true,
  description,
  schema,
});

/** A query parameter that may be left out. */
export const inQuery = (name: string, description: string, schema: Schema): Parameter => ({
  name,
  in: "query",
  required: false,
  description,
  schema,
});

/** A request header that may be left out. */
export const inHeader = (name: string, description: string, schema: Schema): Parameter => ({
  name,
  in: "header",
  required: false,
  description,
  schema,
});

/** A response header. */
export const header = (description: string, schema: Schema = { type: "string" }) => ({ description, schema });

/** The same schema in each of the forms. */
export const contentOf = (forms: readonly Representation[], schema: Schema, example?: unknown): Content =>
  Object.fromEntries(
    forms.map((form) => [mediaTypes[form][0], { schema, ...(example === undefined ? {} : { example }) }]),
  );

/** A structured answer: JSON, or msgpack with the same fields. */
export const structured = (description: string, schema: Schema): ResponseObject => ({
  description,
  content: contentOf(["json", "msgpack"], schema),
});

/** Every path can answer these. */
const everywhere: readonly ErrorCode[] = [
  "malformed_request",
  "origin_not_allowed",
  "unknown_parameter",
  "too_many_connections",
  "internal",
];

/** Every path that wants to know who calls can answer these, where tokens are asked for. */
export const tokenErrors: readonly ErrorCode[] = ["unauthenticated", "token_expired"];

/** Every path that asks a store can answer these. */
export const storeErrors: readonly ErrorCode[] = [
  ...tokenErrors,
  "permission_denied",
  "overloaded",
  "unavailable",
  "shutting_down",
];

/** The problem responses of a path, one a status, each with the codes that it can have there. */
export const problems = (codes: readonly ErrorCode[]): Record<string, ResponseObject> => {
  const byStatus = new Map<number, Set<ErrorCode>>();
  for (const code of [...everywhere, ...codes]) {
    const { status } = errorCodes[code];
    byStatus.set(status, (byStatus.get(status) ?? new Set()).add(code));
  }
  return Object.fromEntries([...byStatus].map(([status, at]) => [String(status), problem(status, [...at])]));
};

/** What the problem looks like; without it, readers would be shown the first code of all in its place. */
const problemExample = (status: number, code: ErrorCode | undefined): unknown => {
  if (code === undefined) return undefined;
  const { title, retryable } = errorCodes[code];
  return { type: `urn:minitoolstream:error:${code}`, title, status, detail: `${title}.`, code, retryable };
};

const problemHeaders: Readonly<Record<number, ResponseObject["headers"]>> = {
  401: { "WWW-Authenticate": header("Asks for a bearer token (RFC 6750) and says what is wrong with the one sent.") },
  429: { "Retry-After": header("Seconds to wait.", { type: "integer", minimum: 0 }) },
  503: { "Retry-After": header("Seconds to wait.", { type: "integer", minimum: 0 }) },
};

const problem = (status: number, codes: readonly ErrorCode[]): ResponseObject => ({
  description: codes.map((code) => `${errorCodes[code].title} (\`${code}\`).`).join(" "),
  ...(problemHeaders[status] && { headers: problemHeaders[status] }),
  content: {
    [problemContentType]: {
      schema: {
        allOf: [
          ref("Problem"),
          {
            type: "object",
            properties: {
              status: { type: "integer", enum: [status] },
              code: { type: "string", enum: codes },
            },
          },
        ],
      },
      example: problemExample(status, codes.at(-1)),
    },
  },
});
