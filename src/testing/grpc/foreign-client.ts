/**
 * gRPC clients in other languages, with stubs generated from either generation of the protocol. Each is one program
 * that takes commands as JSON lines on standard input and answers on standard output; this is the other end of the
 * lines, and the one description of the commands. Numbers of 64 bits that a test sends travel as text.
 * @module
 */
import { join } from "node:path";
import { guard, release } from "../guardian.ts";
import { Conditions } from "../live.ts";
import { WireMap } from "../wire.ts";
import {
  asFetched,
  asMessage,
  bodyFields,
  type CallOptions,
  type ChannelOptions,
  callFields,
  type Fetched,
  type ForeignDraft,
  type Generation,
  GrpcError,
  type Language,
  type Position,
  type Published,
} from "./foreign-shapes.ts";
import { grpcClientsFolder } from "./installed.ts";

/** One running program; it holds any number of channels. */
export class ForeignClient implements AsyncDisposable {
  readonly language: Language;
  readonly generation: Generation;
  readonly #child: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #waiting = new Map<number, { resolve: (answer: WireMap) => void; reject: (error: Error) => void }>();
  readonly #streams = new Map<string, ForeignStream>();
  #calls = 0;
  #names = 0;
  #failure: Error | undefined;

  private constructor(language: Language, generation: Generation, argv: readonly string[]) {
    this.language = language;
    this.generation = generation;
    this.#child = Bun.spawn([...argv], {
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1", GRPC_VERBOSITY: "NONE" },
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    guard(this.#child.pid);
    void this.#read();
  }

  static async start(language: Language, generation: Generation): Promise<ForeignClient> {
    const folder = await grpcClientsFolder();
    const program = join(import.meta.dir, "python", "client.py");
    const argv =
      language === "Go"
        ? [join(folder, "bin", `client-${generation}`)]
        : [join(folder, "venv", "bin", "python"), program, join(folder, "stubs", generation)];
    return new ForeignClient(language, generation, argv);
  }

  /**
   * Connects at the first call.
   * @param target `host:port`
   */
  async open(target: string, options: ChannelOptions = {}): Promise<ForeignChannel> {
    const name = `channel ${this.#names++}`;
    const { receiveBytesMax, roots, compress = false } = options;
    await this.command("open", {
      channel: name,
      target,
      compress,
      ...(receiveBytesMax !== undefined && { receive_bytes_max: receiveBytesMax }),
      ...(roots !== undefined && { roots }),
    });
    return new ForeignChannel(this, name);
  }

  /** Sends one command. Rejects with GrpcError when its call failed. */
  async command(op: string, fields: Readonly<Record<string, unknown>>): Promise<WireMap> {
    if (this.#failure !== undefined) throw this.#failure;
    const id = this.#calls++;
    const answered = Promise.withResolvers<WireMap>();
    this.#waiting.set(id, answered);
    void this.#child.stdin.write(`${JSON.stringify({ id, op, ...fields })}\n`);
    void this.#child.stdin.flush();
    const answer = await answered.promise;
    if (answer.has("broken")) throw new Error(`${this.language}, ${op}: ${answer.string("broken")}`);
    if (!answer.has("error")) return answer;
    throw new GrpcError(answer.map("error"), answer.has("messages") ? answer.list("messages").map(asMessage) : []);
  }

  /** What is pushed under a fresh name. */
  stream(): { readonly name: string; readonly stream: ForeignStream } {
    const name = `stream ${this.#names++}`;
    const stream = new ForeignStream(() => this.command("cancel", { stream: name }));
    this.#streams.set(name, stream);
    return { name, stream };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of this.#child.stdout) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#take(new WireMap(JSON.parse(line), `${this.language} client`));
    }
    await this.#child.exited;
    release(this.#child.pid);
    this.#failure = new Error(`the ${this.language} client has ended`);
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    for (const stream of this.#streams.values()) stream.conditions.fail(this.#failure);
  }

  #take(line: WireMap): void {
    if (line.has("stream")) {
      this.#streams.get(line.string("stream"))?.take(line);
      return;
    }
    const id = line.integer("id");
    this.#waiting.get(id)?.resolve(line);
    this.#waiting.delete(id);
  }
}

/** The calls of both services over one connection. */
export class ForeignChannel {
  readonly #client: ForeignClient;
  readonly #name: string;
  #isClosed = false;

  constructor(client: ForeignClient, name: string) {
    this.#client = client;
    this.#name = name;
  }

  get generation(): Generation {
    return this.#client.generation;
  }

  async publish({ subject, body, headers = {}, ...options }: ForeignDraft): Promise<Published> {
    const answer = await this.#call("publish", { subject, headers, ...bodyFields(body), ...callFields(options) });
    return { sequence: answer.integer("sequence"), others: answer.map("others").fields, wire: answer.string("wire") };
  }

  /**
   * So many callers at once, each publishes `each` messages one after the other, with its number and the message's in
   * the headers `caller` and `index`. The sequences by caller, in the order of its messages.
   */
  async publishMany(
    draft: ForeignDraft,
    { callers, each }: { readonly callers: number; readonly each: number },
  ): Promise<readonly (readonly number[])[]> {
    const { subject, body, headers = {}, ...options } = draft;
    const fields = { subject, headers, callers, each, ...bodyFields(body), ...callFields(options) };
    const answer = await this.#call("publish_many", fields);
    return answer.list("sequences") as number[][];
  }

  async lastSequence(subject: string, options: CallOptions = {}): Promise<number> {
    return (await this.#call("last", { subject, ...callFields(options) })).integer("last_sequence");
  }

  /** @param options.take cancels the call after so many messages */
  async fetch(
    position: Position,
    options: CallOptions & { readonly batch?: number; readonly take?: number } = {},
  ): Promise<Fetched> {
    const { batch, take } = options;
    const answer = await this.#call("fetch", {
      ...position,
      ...callFields(options),
      ...(batch !== undefined && { batch }),
      ...(take !== undefined && { take }),
    });
    return asFetched(answer);
  }

  /**
   * A Fetch whose client stops reading after the first message. Resolves when it has that one; `proceed` reads on and
   * answers what the whole Fetch answered.
   */
  async heldFetch(
    position: Position,
    { batch }: { readonly batch: number },
  ): Promise<{ readonly proceed: () => Promise<Fetched>; readonly answered: Promise<Fetched> }> {
    const { name, stream } = this.#client.stream();
    const answered = this.#call("fetch", { ...position, batch, hold: name }).then(asFetched);
    answered.catch(() => undefined);
    await Promise.race([stream.conditions.until(() => stream.isHeld), answered]);
    const proceed = async (): Promise<Fetched> => {
      await this.#client.command("proceed", { stream: name });
      return await answered;
    };
    return { proceed, answered };
  }

  /** Only the later generation has it. */
  async ack(position: Position, sequence: number | bigint, options: CallOptions = {}): Promise<boolean> {
    const fields = { ...position, sequence: String(sequence), ...callFields(options) };
    const answer = await this.#call("ack", fields);
    const hidden = answer.string("error_message");
    if (hidden !== "") throw new Error(`an error inside an answer: ${hidden}`);
    return answer.boolean("success");
  }

  /** Answers when the call was started, not when the server has it. */
  async subscribe(
    position: Position,
    options: CallOptions & { readonly start?: number | bigint } = {},
  ): Promise<ForeignStream> {
    const { name, stream } = this.#client.stream();
    const { start } = options;
    const fields = { ...position, ...callFields(options), ...(start !== undefined && { start: String(start) }) };
    await this.#call("subscribe", { stream: name, ...fields });
    return stream;
  }

  /** Starts calls of the method and cancels each 0, 1 or 2 ms later; how many ended with which code. */
  async cancelEarly(
    method: "Publish" | "Fetch" | "Subscribe",
    position: Position,
    times: number,
  ): Promise<Readonly<Record<string, unknown>>> {
    return (await this.#call("cancel_early", { method, times, ...position, size: 100 })).map("codes").fields;
  }

  /** Closing it again does nothing. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#call("close", {});
  }

  #call(op: string, fields: Readonly<Record<string, unknown>>): Promise<WireMap> {
    return this.#client.command(op, { channel: this.#name, ...fields });
  }
}

/** A running Subscribe: what it told, in the order in which it came. */
export class ForeignStream {
  readonly notified: { readonly subject: string; readonly sequence: number }[] = [];
  readonly conditions = new Conditions();
  /** Of a Fetch: it has its first message and waits. */
  isHeld = false;
  readonly #cancel: () => Promise<unknown>;
  #end: GrpcError | undefined;

  constructor(cancel: () => Promise<unknown>) {
    this.#cancel = cancel;
  }

  /** The highest sequence that it told of; 0 before it told of any. */
  get latest(): number {
    return this.notified.at(-1)?.sequence ?? 0;
  }

  /** Resolves when it has told of this sequence or a later one; rejects with its status when it ends before. */
  async reached(sequence: number): Promise<void> {
    await this.conditions.until(() => this.latest >= sequence || this.#end !== undefined);
    if (this.latest < sequence) throw this.#end ?? new Error("the stream told of nothing");
  }

  /** Resolves with its status when it is over. */
  async ended(): Promise<GrpcError> {
    await this.conditions.until(() => this.#end !== undefined);
    if (this.#end === undefined) throw new Error("it has not ended");
    return this.#end;
  }

  async cancel(): Promise<void> {
    await this.#cancel();
  }

  /** A line of the program. */
  take(line: WireMap): void {
    if (line.has("held")) this.isHeld = true;
    else if (line.has("end")) this.#end = new GrpcError(line.map("end"));
    else this.notified.push({ subject: line.string("subject"), sequence: line.integer("sequence", 1) });
    this.conditions.changed();
  }
}
