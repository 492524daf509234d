/**
 * Swagger UI, served from here: its page, its files, and the document that it shows. Nothing is loaded from another
 * host, and the page's policy would not let it. None of it asks for a token: nothing that is stored shows in it.
 * @module
 */
import { fileURLToPath } from "node:url";
import { StreamError } from "../../core/errors.ts";
import { openApiOperation, swaggerAssetOperation, swaggerPageOperation } from "./openapi/ops.ts";
import { pathParameter, type Route } from "./route.ts";

const documentPath = "/swagger/json";

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>MiniToolStream API</title>
<link rel="icon" type="image/png" href="swagger/assets/favicon-32x32.png">
<link rel="stylesheet" href="swagger/assets/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="swagger/assets/swagger-ui-bundle.js"></script>
<script src="swagger/assets/start.js"></script>
</body>
</html>
`;

/** `validatorUrl` would otherwise send the document's address to a public service. */
const startScript = `SwaggerUIBundle({ url: "swagger/json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null });
`;

const policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

const assetTypes = {
  "favicon-32x32.png": "image/png",
  "swagger-ui.css": "text/css; charset=utf-8",
  "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
} as const;

const assetFile = (name: keyof typeof assetTypes): string =>
  fileURLToPath(import.meta.resolve(`swagger-ui-dist/${name}`));

const isAsset = (name: string): name is keyof typeof assetTypes => Object.hasOwn(assetTypes, name);

const assetHeaders = (type: string) => ({
  "content-type": type,
  "cache-control": "public, max-age=3600",
  "x-content-type-options": "nosniff",
});

const assetResponse = (name: string): Response => {
  if (name === "start.js") {
    return new Response(startScript, { headers: assetHeaders(assetTypes["swagger-ui-bundle.js"]) });
  }
  if (isAsset(name)) return new Response(Bun.file(assetFile(name)), { headers: assetHeaders(assetTypes[name]) });
  throw new StreamError("not_found", "There is no such file.");
};

const pageRoute = (path: "/swagger" | "/docs"): Route => ({
  method: "GET",
  path,
  open: true,
  handle: () =>
    new Response(page, {
      headers: {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": policy,
        "cache-control": "no-cache",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
      },
    }),
  operation: swaggerPageOperation(path),
});

/** The routes of the pages; `document` yields the OpenAPI document as JSON text. */
export const swaggerRoutes = (document: () => Promise<string>): readonly Route[] => [
  pageRoute("/swagger"),
  pageRoute("/docs"),
  {
    method: "GET",
    path: documentPath,
    open: true,
    handle: async () =>
      new Response(await document(), { headers: { "content-type": "application/json", "cache-control": "no-cache" } }),
    operation: openApiOperation,
  },
  {
    method: "GET",
    path: "/swagger/assets/:name",
    open: true,
    handle: (call) => assetResponse(pathParameter(call, "name")),
    operation: swaggerAssetOperation,
  },
];
