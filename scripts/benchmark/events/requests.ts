/**
 * HTTP requests on kept-alive connections, one under way on each: how many a second, and how long one takes.
 * @module
 */
import type { LeanSocket } from "../../load-test/lean-socket.ts";
import { RawHttp } from "../../load-test/raw-http.ts";

/** What is sent, and for how long. */
export interface RequestLoad {
  readonly url: string;
  readonly connections: number;
  /** The whole request, head and body. */
  readonly request: () => string;
  /** Not counted. */
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** What was measured. */
export interface RequestFigures {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** A request as text. */
export const requestText = (method: "GET" | "POST", url: string, path: string, body?: string): string => {
  const { host } = new URL(url);
  const content =
    body === undefined
      ? ""
      : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body, "utf8")}\r\n`;
  return `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${content}\r\n${body ?? ""}`;
};

/** One connection. */
class Connection {
  #socket: LeanSocket | undefined;
  #sentMs = 0;
  #stopped = false;

  constructor(
    private readonly load: RequestLoad,
    private readonly answered: (tookMs: number) => void,
    private readonly failed: (reason: string) => void,
  ) {}

  async open(): Promise<void> {
    this.#socket = await RawHttp.connect(new URL(this.load.url), {
      answer: (status, _, bytes, start, end) => {
        if (status >= 300) {
          this.failed(`HTTP ${status}: ${bytes.toString("utf8", start, Math.min(end, start + 500))}`);
          return;
        }
        this.answered(performance.now() - this.#sentMs);
        this.send();
      },
      writable: () => undefined,
      closed: (reason, detail) => {
        if (!this.#stopped) this.failed(`${reason} ${detail ?? ""}`);
      },
    });
  }

  send(): void {
    const socket = this.#socket;
    if (socket === undefined || this.#stopped) return;
    const text = this.load.request();
    // At most three bytes a character; with one request under way there is always room.
    if (!socket.reserve(text.length * 3)) {
      this.failed("the request does not fit the buffer");
      return;
    }
    this.#sentMs = performance.now();
    socket.outEnd += socket.out.write(text, socket.outEnd, "utf8");
    socket.flush();
  }

  close(): void {
    this.#stopped = true;
    this.#socket?.end();
  }
}

/** Sends as fast as answers come. @throws Error when a request is refused or a connection breaks */
export const measureRequests = async (load: RequestLoad): Promise<RequestFigures> => {
  const tookMs: number[] = [];
  let counting = false;
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => undefined);
  const lanes = Array.from(
    { length: load.connections },
    () =>
      new Connection(
        load,
        (took) => {
          if (counting) tookMs.push(took);
        },
        (reason) => failure.reject(new Error(reason)),
      ),
  );
  try {
    await Promise.all(lanes.map((lane) => lane.open()));
    for (const lane of lanes) lane.send();
    await Promise.race([Bun.sleep(load.warmUpMs), failure.promise]);
    counting = true;
    const startedMs = performance.now();
    await Promise.race([Bun.sleep(load.measureMs), failure.promise]);
    counting = false;
    const seconds = (performance.now() - startedMs) / 1000;
    const sorted = Float64Array.from(tookMs).sort();
    const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
    return { perSecond: sorted.length / seconds, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
  } finally {
    for (const lane of lanes) lane.close();
  }
};
