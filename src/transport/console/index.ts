/**
 * The console: a page for people, at `/`. Its files answer everybody, because nothing that is stored shows in them; what
 * the page shows it asks for over HTTP and the WebSocket as any other client does, with the token of who looks at it.
 * @module
 */
import { bundleConsole, type ConsoleFile, fileNames } from "./bundle.ts";

/** A path with a file that everybody gets, in the shape in which the HTTP transport takes what others answer. */
export interface ConsoleMount {
  readonly path: string;
  readonly methods: readonly ["GET"];
  readonly page: (request: Request) => Promise<Response>;
}

/**
 * What the page may do. Messages are other people's text and bytes: nothing of them can become a script (no script but
 * from here, and with trusted types no text becomes markup), and nothing can call another host.
 */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const pageHeaders = {
  "content-security-policy": policy,
  "cross-origin-opener-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
};

const ofFile = ({ contentType, etag }: ConsoleFile): Record<string, string> => ({
  "content-type": contentType,
  etag,
  // A newer server has newer files, which the page must get together.
  "cache-control": "no-cache",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  ...(contentType.startsWith("text/html") ? pageHeaders : { "content-security-policy": "default-src 'none'" }),
});

/** Whether `If-None-Match` names the tag (weak comparison, RFC 9110 13.1.2). */
const hits = (ifNoneMatch: string | null, etag: string): boolean =>
  ifNoneMatch !== null &&
  (ifNoneMatch.trim() === "*" || ifNoneMatch.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag));

const fileResponse = (request: Request, file: ConsoleFile): Response => {
  const headers = ofFile(file);
  if (hits(request.headers.get("if-none-match"), file.etag)) return new Response(null, { status: 304, headers });
  // Of HEAD, the server that listens sends the headers alone, and the length that this body has.
  return new Response(file.bytes, { headers });
};

/** The paths of the console. Its scripts are bundled when somebody first asks for any file, once. */
export const consoleMounts = (): readonly ConsoleMount[] => {
  let bundled: ReturnType<typeof bundleConsole> | undefined;
  const bundle = (): ReturnType<typeof bundleConsole> => {
    // What failed is tried again by the next request.
    bundled ??= bundleConsole().catch((error: unknown) => {
      bundled = undefined;
      throw error;
    });
    return bundled;
  };
  return fileNames.map((name) => ({
    path: name === "index.html" ? "/" : `/console/${name}`,
    methods: ["GET"],
    page: async (request) => fileResponse(request, (await bundle())[name]),
  }));
};
