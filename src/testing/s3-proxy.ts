/**
 * An HTTP proxy in front of a real S3 server, for the faults that need to know where a request ends: an error in place
 * of the answer, half an answer, wrong bytes, no answer though the request was carried out.
 * @module
 */
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import type { ProxyTarget } from "./tcp-proxy.ts";

/** What happens to a request. */
export type S3Fault =
  /** The server never sees the request; the client gets this status with an S3 error of this code. */
  | { readonly kind: "answer"; readonly status: number; readonly code: string }
  /** Carried out; the connection is cut in place of the answer. */
  | { readonly kind: "reply lost" }
  /** Carried out; nothing is answered, the connection stays open. */
  | { readonly kind: "no reply" }
  /** The status, the headers and the first half of the answer's body, then the connection is cut. */
  | { readonly kind: "half body" }
  /** One byte in the middle of the answer's body is another. */
  | { readonly kind: "wrong byte" }
  /** One byte in the middle of the request's body is another. */
  | { readonly kind: "request damaged" }
  /** The answer comes without this header, named in small letters. */
  | { readonly kind: "without header"; readonly name: string };

/** A request as the proxy saw it. */
export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly bytes: number;
  /** `Host` header. */
  readonly host: string;
  readonly headers: Readonly<IncomingHttpHeaders>;
}

const seenMax = 10_000;

/** The proxy; without faults it passes everything on. */
export class S3Proxy {
  readonly #target: ProxyTarget;
  readonly #faults: { readonly fault: S3Fault; readonly concerns: (request: SeenRequest) => boolean; left: number }[] =
    [];
  readonly #server: Server;
  #seen: SeenRequest[] = [];
  #port = 0;

  constructor(target: ProxyTarget) {
    this.#target = target;
    this.#server = createServer((request, response) => {
      // Not `response.destroy()`, which Bun answers with an empty 200.
      this.#serve(request, response).catch(() => request.socket.destroy());
    });
  }

  /** On 127.0.0.1. */
  get port(): number {
    return this.#port;
  }

  /** All requests since the last `clear`, also those that a fault answered, in the order of their arrival. */
  get seen(): readonly SeenRequest[] {
    return this.#seen;
  }

  /** Starts to listen. */
  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(0, "127.0.0.1", resolve);
    });
    const address = this.#server.address();
    if (address !== null && typeof address !== "string") this.#port = address.port;
  }

  /** The next `times` requests that `concerns` accepts (all when left out) suffer the fault. */
  inject(fault: S3Fault, times = 1, concerns: (request: SeenRequest) => boolean = () => true): void {
    this.#faults.push({ fault, concerns, left: times });
  }

  /** Forgets faults that have not happened and the requests seen. */
  clear(): void {
    this.#faults.length = 0;
    this.#seen = [];
  }

  /** Ends it and its connections. */
  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #takeFault(seen: SeenRequest): S3Fault | undefined {
    const found = this.#faults.find(({ concerns, left }) => left > 0 && concerns(seen));
    if (found === undefined) return undefined;
    found.left--;
    return found.fault;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Uint8Array>));
    const { method = "GET", url = "/" } = request;
    const { headers } = request;
    const seen = { method, target: url, bytes: body.length, host: headers.host ?? "", headers };
    if (this.#seen.length < seenMax) this.#seen.push(seen);
    const fault = this.#takeFault(seen);
    if (fault?.kind === "answer") {
      answerError(response, fault.status, fault.code);
      return;
    }
    if (fault?.kind === "request damaged") damage(body);

    const upstream = await this.#forward(request, body);
    const answer = Buffer.from(await upstream.arrayBuffer());
    if (fault?.kind === "reply lost") {
      request.socket.destroy();
      return;
    }
    if (fault?.kind === "no reply") return;
    if (fault?.kind === "wrong byte") damage(answer);
    if (fault?.kind === "without header") upstream.headers.delete(fault.name);
    response.writeHead(upstream.status, answerHeaders(upstream, answer.length));
    if (fault?.kind !== "half body") {
      response.end(answer);
      return;
    }
    response.write(answer.subarray(0, Math.ceil(answer.length / 2)), () => request.socket.destroy());
  }

  /** With the headers as they came: they are signed, `Host` among them. */
  #forward(request: IncomingMessage, body: Buffer): Promise<Response> {
    const headers = new Headers();
    for (const [name, value] of Object.entries(request.headers)) {
      if (typeof value === "string" && !hopByHop.has(name)) headers.set(name, value);
    }
    const { host, port } = this.#target;
    const method = request.method ?? "GET";
    return fetch(`http://${host}:${port}${request.url ?? "/"}`, {
      method,
      headers,
      ...(method === "GET" || method === "HEAD" ? {} : { body }),
      redirect: "manual",
      decompress: false,
    });
  }
}

const hopByHop: ReadonlySet<string> = new Set(["connection", "content-length", "transfer-encoding", "keep-alive"]);

const answerHeaders = (upstream: Response, bodyBytes: number): Record<string, string> => {
  const headers: Record<string, string> = {};
  for (const [name, value] of upstream.headers) if (!hopByHop.has(name)) headers[name] = value;
  // The answer to HEAD has the length of what it does not send.
  const length = upstream.headers.get("content-length");
  return { ...headers, "content-length": bodyBytes === 0 && length !== null ? length : String(bodyBytes) };
};

const answerError = (response: ServerResponse, status: number, code: string): void => {
  const xml = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>made up</Message></Error>`;
  response.writeHead(status, { "content-type": "application/xml", "content-length": String(xml.length) });
  response.end(xml);
};

/** Turns over the bits of the byte in the middle. */
const damage = (bytes: Buffer): void => {
  const middle = Math.floor(bytes.length / 2);
  const byte = bytes[middle];
  if (byte !== undefined) bytes[middle] = byte ^ 0xff;
};

/** Starts one on a free port; `await using` ends it with the block. */
export const startS3Proxy = async (target: ProxyTarget): Promise<S3Proxy> => {
  const proxy = new S3Proxy(target);
  await proxy.listen();
  return proxy;
};
