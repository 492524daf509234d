/**
 * The GraphQL transport of the Event Hub: `/graphql` on the HTTP port. The HTTP transport checks its requests and hands
 * in who calls; subscriptions over WebSocket come to `sockets`.
 * @module
 */
import type { Principal } from "../../auth/contract.ts";
import { Documents } from "./documents.ts";
import { asksForPage, assetResponse, pageResponse } from "./page.ts";
import { createEventSchema, type SchemaOptions } from "./schema.ts";
import { createGraphqlServer, type GraphqlCall } from "./server.ts";
import { GraphqlSockets, type SocketsOptions } from "./ws/sockets.ts";

export type { GraphqlSocketState } from "./ws/sockets.ts";
export { asksForUpgrade } from "./ws/upgrade.ts";

/** Where it is served. */
export const graphqlPath = "/graphql";

/** Largest body of a request, and largest frame, in bytes. */
const requestBytesMax = 1024 * 1024;

/** What the transport is made of. */
export type GraphqlOptions = SchemaOptions & Omit<SocketsOptions, "schema" | "documents" | "frameBytesMax">;

/** One path, in the shape in which the HTTP transport takes paths that something else answers. */
interface GraphqlMount {
  readonly path: string;
  readonly methods: readonly ("GET" | "POST")[];
  readonly query?: readonly string[];
  readonly page?: (request: Request) => Response | Promise<Response> | undefined;
  readonly answer?: (call: {
    readonly request: Request;
    readonly body: Uint8Array | undefined;
    readonly caller: Principal;
  }) => Response | Promise<Response>;
  readonly bodyBytesMax?: number;
}

/** The transport. */
export interface GraphqlTransport {
  /** For the HTTP transport. */
  readonly mounts: readonly GraphqlMount[];
  /** For upgrades of the path, and for `Bun.serve({websocket})`. */
  readonly sockets: GraphqlSockets;
}

/** Makes the transport. */
export const createGraphqlTransport = (options: GraphqlOptions): GraphqlTransport => {
  const schema = createEventSchema(options);
  const documents = new Documents(schema);
  const answer = createGraphqlServer({ schema, documents, log: options.log });
  return {
    mounts: [
      {
        path: graphqlPath,
        methods: ["GET", "POST"],
        query: ["query", "variables", "operationName", "extensions"],
        page: (request) => (asksForPage(request) ? pageResponse() : undefined),
        answer: (call: GraphqlCall) => answer(call),
        bodyBytesMax: requestBytesMax,
      },
      { path: `${graphqlPath}/assets/:name`, methods: ["GET"], page: assetResponse },
    ],
    sockets: new GraphqlSockets({ ...options, schema, documents, frameBytesMax: requestBytesMax }),
  };
};
