/**
 * The outside world of a command: standard streams, environment, time and Ctrl-C; given to it, so that nothing below
 * reaches for the process.
 * @module
 */

/** Whoever read standard output is gone (`| head`): there is nobody left to work for. */
export class ReaderGoneError extends Error {
  override readonly name = "ReaderGoneError";
}

/** Text that is not written yet, above which a writer waits. */
const bufferedBytesMax = 256 * 1024;

/** A stream as Node and Bun have it. */
interface WritableLike {
  write(chunk: Uint8Array, done: (error?: Error | null) => void): boolean;
  on(event: "error", listener: (error: Error) => void): unknown;
}

/** Standard output: gathers what is written in one turn, waits when the reader is slow, notices when it is gone. */
export class Output {
  readonly #stream: WritableLike;
  #parts: Uint8Array[] = [];
  #bytes = 0;
  #writing: Promise<void> | undefined;
  #failure: Error | undefined;

  constructor(stream: WritableLike) {
    this.#stream = stream;
    // Also told to the callback of the write; unheard, the event would end the process.
    stream.on("error", (error) => this.#fail(error));
  }

  /** @throws ReaderGoneError */
  async write(data: string | Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    if (bytes.length === 0) return;
    this.#parts.push(bytes);
    this.#bytes += bytes.length;
    this.#writing ??= this.#writeAll();
    if (this.#bytes > bufferedBytesMax) await this.flush();
  }

  /** Resolves when all is handed to the operating system. @throws ReaderGoneError */
  async flush(): Promise<void> {
    await this.#writing;
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #writeAll(): Promise<void> {
    // What is written in the same turn goes out in one piece.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#parts.length > 0 && this.#failure === undefined) {
      const chunk = Buffer.concat(this.#parts);
      this.#parts = [];
      this.#bytes = 0;
      await new Promise<void>((resolve) => {
        this.#stream.write(chunk, (error) => {
          if (error) this.#fail(error);
          resolve();
        });
      });
    }
    this.#writing = undefined;
  }

  #fail(error: Error): void {
    const isGone = "code" in error && error.code === "EPIPE";
    this.#failure ??= isGone ? new ReaderGoneError("the reader of standard output is gone") : error;
  }
}

/** Everything a command may touch beside its own files and the network. */
export interface Io {
  readonly stdout: Output;
  readonly stdoutIsTerminal: boolean;
  /** One line, or a part of one; for people. */
  readonly stderr: (text: string) => void;
  readonly stderrIsTerminal: boolean;
  /** Width of the terminal in characters. */
  readonly columns: () => number;
  readonly stdinIsTerminal: boolean;
  readonly stdin: () => AsyncIterable<Uint8Array>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Unix milliseconds. */
  readonly nowMs: () => number;
  /** Aborted by the first Ctrl-C (or SIGTERM). */
  readonly stop: AbortSignal;
}

/** Exit code after a second Ctrl-C, and after one that cut a command short: 128 + SIGINT. */
export const interruptedCode = 130;

/** What the work answers, unless Ctrl-C comes first: for work that may wait for something that cannot be told to end. */
export const untilStopped = async <T>(io: Io, work: Promise<T>): Promise<T> => {
  const stopped = Promise.withResolvers<never>();
  const stop = (): void => stopped.reject(io.stop.reason);
  io.stop.addEventListener("abort", stop, { once: true });
  // Whichever is second is heard by nobody.
  stopped.promise.catch(() => undefined);
  work.catch(() => undefined);
  try {
    return await Promise.race([work, stopped.promise]);
  } finally {
    io.stop.removeEventListener("abort", stop);
  }
};

/** The real one. */
export const processIo = (): Io => {
  const stop = new AbortController();
  const onSignal = (): void => {
    if (stop.signal.aborted) process.exit(interruptedCode);
    stop.abort();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return {
    stdout: new Output(process.stdout),
    stdoutIsTerminal: process.stdout.isTTY,
    stderr: (text) => {
      process.stderr.write(text);
    },
    stderrIsTerminal: process.stderr.isTTY,
    columns: () => process.stderr.columns || 80,
    stdinIsTerminal: process.stdin.isTTY,
    stdin: () => Bun.stdin.stream(),
    env: process.env,
    cwd: process.cwd(),
    nowMs: Date.now,
    stop: stop.signal,
  };
};
