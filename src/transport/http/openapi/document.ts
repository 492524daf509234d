/**
 * The OpenAPI document, gathered from the table of routes by `@elysiajs/swagger`. It runs in a router of its own that
 * serves nobody: its page would load scripts from another host, and its guesses at content types are not ours.
 * @module
 */
import { swagger } from "@elysiajs/swagger";
import { Elysia } from "elysia";
import type { Route } from "../route.ts";
import { tags } from "./operation.ts";
import { schemas } from "./schemas.ts";

const description =
  "A message streaming server: ordered subjects, durable publishes, reads, live tails and consumers. Errors are " +
  "`application/problem+json` with a stable `code`. What is not described here: WebSocket at `/v1/ws`, GraphQL of the " +
  "Event Hub at `/graphql`, and the console for browsers at `/`.";

type Documentation = NonNullable<NonNullable<Parameters<typeof swagger>[0]>["documentation"]>;

/** Where the plugin puts itself: out of the way of the paths that it describes. */
const pluginPath = "/plugin";

const bearerScheme = {
  type: "http",
  scheme: "bearer",
  bearerFormat: "JWT",
  description: "A token that grants verbs on subjects; looked at where the server runs with authentication.",
} as const;

/**
 * The document as JSON text.
 * @param tokensRequired whether the server runs with authentication; otherwise it looks at no token
 */
export const openApiDocument = async (
  routes: readonly Route[],
  version: string,
  tokensRequired: boolean,
): Promise<string> => {
  const documentation: Documentation = {
    info: {
      title: "MiniToolStream",
      version,
      description,
      license: { name: "MIT", url: "https://opensource.org/license/mit" },
    },
    servers: [{ url: "/", description: "This server" }],
    // An empty requirement says that none is needed; leaving all out would mean "unknown".
    security: tokensRequired ? [{ bearer: [] }] : [{}, { bearer: [] }],
    tags: Object.entries(tags).map(([name, about]) => ({ name, description: about })),
    components: { schemas: schemas as Record<string, object>, securitySchemes: { bearer: bearerScheme } },
  };
  const gatherer = new Elysia().use(swagger({ documentation, path: pluginPath, excludeStaticFile: false }));
  for (const { method, path, operation, headOperation, open } of routes) {
    const detail = open === true ? { ...operation, security: [] } : operation;
    if (operation !== undefined) gatherer.route(method, path, () => "", { detail: detail as object });
    if (headOperation !== undefined) gatherer.route("HEAD", path, () => "", { detail: headOperation as object });
  }
  const answer = await gatherer.handle(new Request(`http://localhost${pluginPath}/json`));
  return answer.text();
};
