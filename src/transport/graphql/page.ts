/**
 * GraphiQL, served from here: its page and its files. Nothing is loaded from another host, and the page's policy would
 * not let it. None of it asks for a token: nothing that is stored shows in it.
 * @module
 */
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { StreamError } from "../../core/errors.ts";

/** What a person sees first. */
const defaultQuery = `# Events of the Event Hub. Send a token, where one is needed, as a header (below):
#   { "Authorization": "Bearer TOKEN" }
query LastEvents {
  lastEvents(limit: 10) {
    id
    userId
    eventType
    amount
    timestamp
  }
}

query Metrics {
  aggregatedMetrics(minutes: 60) {
    totalAmount
    eventCount
    timeWindow
  }
}

subscription Live {
  eventStream {
    id
    userId
    eventType
    amount
    timestamp
  }
}
`;

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>MiniToolStream GraphQL</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="graphql/assets/graphiql.css">
</head>
<body id="body" class="no-focus-outline">
<noscript>GraphiQL needs JavaScript.</noscript>
<div id="root"></div>
<script src="graphql/assets/workers.js"></script>
<script src="graphql/assets/graphiql.js"></script>
<script src="graphql/assets/start.js"></script>
</body>
</html>
`;

/** Subscriptions come as server-sent events, so that they carry the headers that the page shows. */
const startScript = `YogaGraphiQL.renderYogaGraphiQL(document.querySelector("#root"), ${JSON.stringify({
  endpoint: "/graphql",
  title: "MiniToolStream GraphQL",
  defaultQuery,
  subscriptionsProtocol: "SSE",
  credentials: "omit",
  defaultEditorToolsVisibility: "headers",
})});
`;

/** The editor's workers, each a file. */
const workersScript = `self.MonacoEnvironment = {
  globalAPI: false,
  getWorkerUrl: (_, label) => "/graphql/assets/" + ({ json: "json", graphql: "graphql" }[label] ?? "editor") + "-worker.js",
};
`;

/** Monaco writes style elements and has its icons as data. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const script = "text/javascript; charset=utf-8";

/** Loads a file's text; the package is several megabytes, so it is read when somebody looks at the page. */
const files: Readonly<Record<string, { readonly type: string; readonly load: () => Promise<string> }>> = {
  "graphiql.css": { type: "text/css; charset=utf-8", load: async () => (await graphiql()).css },
  "graphiql.js": { type: script, load: async () => (await graphiql()).js },
  "editor-worker.js": { type: script, load: async () => (await graphiql()).editorWorkerService },
  "json-worker.js": { type: script, load: async () => (await graphiql()).jsonWorker },
  "graphql-worker.js": { type: script, load: async () => (await graphiql()).graphqlWorker },
  "workers.js": { type: script, load: () => Promise.resolve(workersScript) },
  "start.js": { type: script, load: () => Promise.resolve(startScript) },
};

interface Graphiql {
  readonly css: string;
  readonly js: string;
  readonly editorWorkerService: string;
  readonly jsonWorker: string;
  readonly graphqlWorker: string;
}

/** The package shows only a page with everything inside, which no strict policy lets run; its parts lie beside that. */
const graphiql = async (): Promise<Graphiql> =>
  (await import(new URL("graphiql.js", import.meta.resolve("@graphql-yoga/render-graphiql")).href)) as Graphiql;

/** A file as it is sent. */
interface Packed {
  readonly etag: string;
  readonly gzip: Uint8Array<ArrayBuffer>;
}

const compress = promisify(gzip);
const packed = new Map<string, Promise<Packed>>();

const pack = async (load: () => Promise<string>): Promise<Packed> => {
  const bytes = Buffer.from(await load(), "utf8");
  const etag = `"${new Bun.CryptoHasher("sha256").update(bytes).digest("hex").slice(0, 32)}"`;
  return { etag, gzip: new Uint8Array(await compress(bytes)) };
};

/** Whether a request asks for the page rather than for data. */
export const asksForPage = (request: Request): boolean => {
  if (request.method !== "GET" && request.method !== "HEAD") return false;
  // A browser that goes to an address names it first, and clients of GraphQL do not name it.
  return (request.headers.get("accept") ?? "").includes("text/html");
};

/** The page. */
export const pageResponse = (): Response =>
  new Response(page, {
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": policy,
      "cache-control": "no-cache",
      vary: "Accept",
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
    },
  });

/** A file of the page. @throws StreamError `not_found` */
export const assetResponse = async (request: Request): Promise<Response> => {
  const name = new URL(request.url).pathname.split("/").at(-1) ?? "";
  const file = Object.hasOwn(files, name) ? files[name] : undefined;
  if (file === undefined) throw new StreamError("not_found", "There is no such file.");
  const ready = packed.get(name) ?? pack(file.load);
  packed.set(name, ready);
  const { etag, gzip: zipped } = await ready;
  const headers = {
    "content-type": file.type,
    // Workers have a policy of their own.
    "content-security-policy": "default-src 'none'; script-src 'self'; connect-src 'self'",
    "cache-control": "no-cache",
    etag,
    vary: "Accept-Encoding",
    "x-content-type-options": "nosniff",
  };
  if (request.headers.get("if-none-match") === etag) return new Response(null, { status: 304, headers });
  const takesGzip = /\bgzip\b/.test(request.headers.get("accept-encoding") ?? "");
  return takesGzip
    ? new Response(zipped, { headers: { ...headers, "content-encoding": "gzip" } })
    : new Response(Bun.gunzipSync(zipped), { headers });
};
