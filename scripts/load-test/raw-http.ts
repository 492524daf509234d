/**
 * HTTP/1.1 over one kept-alive connection with one request under way: requests are packed into the output buffer,
 * answers are read where they arrived. It reads what this server sends, that is answers with a `Content-Length`.
 * @module
 */
import { LeanSocket } from "./lean-socket.ts";

/** What happens on a connection. */
export interface HttpEvents {
  /** A whole answer; the bytes of its body are the callee's only until it returns. */
  answer(status: number, type: string, bytes: Buffer, start: number, end: number): void;
  /** The output buffer has room again. */
  writable(): void;
  /** It is over. */
  closed(reason: string, detail?: string): void;
}

/** An answer that is larger than this is a mistake. */
const answerBytesMax = 64 * 1024 * 1024;

/** Reads the answers of one connection. */
export class RawHttp {
  #rest: Buffer | undefined;

  private constructor(private readonly events: HttpEvents) {}

  /** Returns the connection that requests are written to. Rejects when nobody answers. */
  static async connect(url: URL, events: HttpEvents): Promise<LeanSocket> {
    const http = new RawHttp(events);
    return LeanSocket.connect(url, {
      data: (chunk) => http.#read(chunk),
      writable: () => events.writable(),
      closed: (reason, detail) => events.closed(reason, detail),
    });
  }

  #read(chunk: Buffer): void {
    let bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = undefined;
    while (bytes.length > 0) {
      const used = this.#answer(bytes);
      if (used === 0) {
        if (bytes.length > answerBytesMax) throw new Error("the server's answer does not end");
        this.#rest = Buffer.from(bytes);
        return;
      }
      bytes = bytes.subarray(used);
    }
  }

  /** Hands out the answer at the start of the bytes and returns its length; 0 when it is not whole. */
  #answer(bytes: Buffer): number {
    const headEnd = bytes.indexOf("\r\n\r\n");
    if (headEnd < 0) return 0;
    const head = bytes.toString("latin1", 0, headEnd);
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1]);
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1]);
    if (Number.isNaN(status) || Number.isNaN(length)) {
      throw new Error("the server's answer has no status or no Content-Length");
    }
    const start = headEnd + 4;
    if (bytes.length < start + length) return 0;
    const type = /\r\ncontent-type: *([^;\r\n]+)/i.exec(head)?.[1] ?? "";
    this.events.answer(status, type, bytes, start, start + length);
    return start + length;
  }
}
