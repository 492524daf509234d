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
  "`application/problem+json` with a stable `code`.";

type Documentation = NonNullable<NonNullable<Parameters<typeof swagger>[0]>["documentation"]>;

/** Where the plugin puts itself: out of the way of the paths that it describes. */
const pluginPath = "/plugin";

/** The document as JSON text. */
export const openApiDocument = async (routes: readonly Route[], version: string): Promise<string> => {
  const documentation: Documentation = {
    info: {
      title: "MiniToolStream",
      version,
      description,
      license: { name: "MIT", url: "https://opensource.org/license/mit" },
    },
    servers: [{ url: "/", description: "This server" }],
    // There is no authentication; said aloud, because leaving it out means "unknown".
    security: [],
    tags: Object.entries(tags).map(([name, about]) => ({ name, description: about })),
    components: { schemas: schemas as Record<string, object> },
  };
  const gatherer = new Elysia().use(swagger({ documentation, path: pluginPath, excludeStaticFile: false }));
  for (const { method, path, operation, headOperation } of routes) {
    if (operation !== undefined) gatherer.route(method, path, () => "", { detail: operation as object });
    if (headOperation !== undefined) gatherer.route("HEAD", path, () => "", { detail: headOperation as object });
  }
  const answer = await gatherer.handle(new Request(`http://localhost${pluginPath}/json`));
  return answer.text();
};
