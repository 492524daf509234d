/**
 * How the paths of operators and the pages appear in the OpenAPI document.
 * @module
 */
import { type Operation, pathParameterOf, problems, type ResponseObject, ref, tokenErrors } from "./operation.ts";

const json = (description: string, schema: Readonly<Record<string, unknown>>): ResponseObject => ({
  description,
  content: { "application/json": { schema } },
});

export const healthOperation: Operation = {
  operationId: "health",
  tags: ["operations"],
  summary: "Whether the process is alive",
  responses: {
    "200": json("It is.", {
      type: "object",
      required: ["status"],
      properties: { status: { type: "string", enum: ["ok"] } },
    }),
    ...problems([]),
  },
};

export const readyOperation: Operation = {
  operationId: "ready",
  tags: ["operations"],
  summary: "Whether it can serve, dependency by dependency",
  responses: {
    "200": json("It can.", ref("Readiness")),
    "503": json("It cannot; the body says what is missing.", ref("Readiness")),
    ...problems([]),
  },
};

export const metricsOperation: Operation = {
  operationId: "metrics",
  tags: ["operations"],
  summary: "Metrics in the text format of Prometheus",
  description: "Where tokens are asked for, any valid one will do, whatever it grants.",
  responses: {
    "200": { description: "All metrics.", content: { "text/plain": { schema: { type: "string" } } } },
    ...problems(tokenErrors),
  },
};

/** One of the two paths of the page. */
export const swaggerPageOperation = (path: "/swagger" | "/docs"): Operation => ({
  operationId: path === "/docs" ? "docsPage" : "swaggerPage",
  tags: ["operations"],
  summary: "This document as a page",
  responses: {
    "200": { description: "The page.", content: { "text/html": { schema: { type: "string" } } } },
    ...problems([]),
  },
});

export const openApiOperation: Operation = {
  operationId: "openApiDocument",
  tags: ["operations"],
  summary: "This document",
  responses: { "200": json("OpenAPI 3.0.", { type: "object" }), ...problems([]) },
};

export const swaggerAssetOperation: Operation = {
  operationId: "swaggerAsset",
  tags: ["operations"],
  summary: "A file of the page",
  parameters: [
    pathParameterOf("name", "Name of the file.", {
      type: "string",
      enum: ["swagger-ui.css", "swagger-ui-bundle.js", "start.js", "favicon-32x32.png"],
    }),
  ],
  responses: {
    "200": {
      description: "The file.",
      content: {
        "text/css": { schema: { type: "string" } },
        "text/javascript": { schema: { type: "string" } },
        "image/png": { schema: { type: "string", format: "binary" } },
      },
    },
    ...problems(["not_found"]),
  },
};
