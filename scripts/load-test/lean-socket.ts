/**
 * A TCP connection with one output buffer that callers write into directly: all requests of a turn leave in one
 * system call. (Bun's own WebSocket client makes one call for every frame, and `fetch` allocates for every request.)
 * @module
 */

/** What happens on a connection. */
export interface SocketEvents {
  /** Bytes came; they are the callee's only until it returns. */
  data(chunk: Buffer): void;
  /** There is room in the output buffer again. */
  writable(): void;
  /** It is over; nothing comes after this. Called once, also after `end()`. @param detail for people */
  closed(reason: string, detail?: string): void;
}

/** Unsent bytes that a connection keeps at least room for. */
const outBytesMin = 256 * 1024;

/** One connection. */
export class LeanSocket {
  /** What is to be sent; requests are written at `outEnd`, after `reserve`. */
  out: Buffer = Buffer.allocUnsafeSlow(outBytesMin);
  outEnd = 0;
  #outStart = 0;
  #closed = false;
  #socket: Bun.Socket | undefined;

  private constructor() {}

  /** Connects to the host and port of an `http(s):` or `ws(s):` URL. Rejects when nobody answers. */
  static async connect(url: URL, events: SocketEvents): Promise<LeanSocket> {
    const secure = url.protocol === "https:" || url.protocol === "wss:";
    const lean = new LeanSocket();
    const over = (reason: string, detail?: string): void => {
      if (lean.#closed) return;
      lean.#closed = true;
      events.closed(reason, detail);
    };
    lean.#socket = await Bun.connect({
      hostname: url.hostname.replace(/^\[|\]$/g, ""),
      port: url.port === "" ? (secure ? 443 : 80) : Number(url.port),
      tls: secure,
      socket: {
        binaryType: "buffer",
        data: (from, chunk) => {
          if (lean.#closed) return;
          try {
            events.data(chunk);
          } catch (error) {
            over("protocol_error", error instanceof Error ? error.message : String(error));
            from.end();
          }
        },
        drain: () => {
          lean.flush();
          if (!lean.#closed) events.writable();
        },
        close: () => over("connection_closed"),
        end: () => over("connection_closed"),
        error: () => over("connection_failed"),
      },
    });
    lean.#socket.setNoDelay(true);
    return lean;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Makes sure that `bytes` can be written at `outEnd`; false when what is unsent has to leave first. */
  reserve(bytes: number): boolean {
    if (this.out.length - this.outEnd >= bytes) return true;
    if (this.#outStart > 0) {
      this.out.copyWithin(0, this.#outStart, this.outEnd);
      this.outEnd -= this.#outStart;
      this.#outStart = 0;
      if (this.out.length - this.outEnd >= bytes) return true;
    }
    if (this.outEnd > 0) return false;
    // A single request that is larger than the buffer: the buffer grows to hold two.
    this.out = Buffer.allocUnsafeSlow(bytes * 2);
    return true;
  }

  /** Sends what the network takes now; the rest follows by itself. */
  flush(): void {
    if (this.#closed || this.#socket === undefined || this.outEnd === this.#outStart) return;
    const sent = this.#socket.write(this.out.subarray(this.#outStart, this.outEnd));
    if (sent > 0) this.#outStart += sent;
    if (this.#outStart === this.outEnd) {
      this.#outStart = 0;
      this.outEnd = 0;
    }
  }

  /** Sends what is left and closes. */
  end(): void {
    this.flush();
    this.#socket?.end();
  }
}
