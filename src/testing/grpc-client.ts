/**
 * A client of `minitoolstream.v1.StreamService` on the general gRPC library and the project's proto file.
 * @module
 */
import { join } from "node:path";
import {
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  Metadata,
  type MethodDefinition,
  type ServiceError,
  type StatusObject,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import {
  type Acknowledged,
  asCommitted,
  asScheduled,
  bodyBytes,
  type ClientError,
  type Draft,
  draftFields,
  type FetchOptions,
  type Page,
  parseError,
  parseMessage,
  parsePageEnds,
  parsePublished,
  type ReadOptions,
  type Receipt,
  type Received,
  type Scheduled,
  type Settled,
  type StreamClient,
} from "./client.ts";
import { Live } from "./live.ts";
import { ContractError, WireMap } from "./wire.ts";

const protoFolder = join(import.meta.dir, "..", "transport", "grpc", "proto");
const channelOptions = {
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
  // A connection of its own for each client.
  "grpc.use_local_subchannel_pool": 1,
};
/** The page limit of the server; its own default is smaller, for the sake of clients that take 4 MiB. */
const pageBytesMax = 8 * 1024 * 1024;

/** A method of a service of the project, from its proto file. */
export type Method = MethodDefinition<object, object>;

/** The methods of a service by name. */
export const loadService = (file: string, service: string): Readonly<Record<string, Method>> => {
  const definition = loadSync(join(protoFolder, file), { keepCase: true, longs: Number, enums: String, oneofs: true });
  const methods = definition[service];
  if (methods === undefined || "format" in methods) throw new Error(`${file} has no ${service}`);
  return methods;
};

/** The method of that name. */
export const methodOf = (methods: Readonly<Record<string, Method>>, name: string): Method => {
  const method = methods[name];
  if (method === undefined) throw new Error(`there is no method ${name}`);
  return method;
};

/** A client without credentials for any service of the target. */
export const connectGrpc = (target: string): Client => new Client(target, credentials.createInsecure(), channelOptions);

/** One unary call; rejects with the library's own error. */
export const callUnary = (
  client: Client,
  method: Method,
  request: object,
  metadata = new Metadata(),
  deadlineMs = 60_000,
): Promise<WireMap> =>
  new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      metadata,
      { deadline: Date.now() + deadlineMs },
      (error, reply) => {
        if (error !== null) reject(error);
        else resolve(new WireMap(reply, method.path));
      },
    );
  });

/** Sends a stream as fast as the server takes it and answers what it answers; rejects with the library's own error. */
export const callClientStream = (
  client: Client,
  method: Method,
  requests: Iterable<object>,
  metadata = new Metadata(),
  deadlineMs = 60_000,
): Promise<WireMap> =>
  new Promise((resolve, reject) => {
    let isOver = false;
    const call = client.makeClientStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      metadata,
      { deadline: Date.now() + deadlineMs },
      (error, reply) => {
        isOver = true;
        if (error !== null) reject(error);
        else resolve(new WireMap(reply, method.path));
      },
    );
    const left = requests[Symbol.iterator]();
    const write = (): void => {
      for (let next = left.next(); !isOver; next = left.next()) {
        if (next.done === true) {
          call.end();
          return;
        }
        if (!call.write(next.value)) {
          call.once("drain", write);
          return;
        }
      }
    };
    write();
  });

/** The length-delimited fields of a protobuf message; enough to read `google.rpc.Status`. */
const delimitedFields = (bytes: Buffer): [field: number, bytes: Buffer][] => {
  const fields: [number, Buffer][] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] ?? 0;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const value = varint();
    if ((key & 7) !== 2) continue;
    fields.push([key >>> 3, bytes.subarray(at, at + value)]);
    at += value;
  }
  return fields;
};

const field = (bytes: Buffer, number: number): Buffer =>
  delimitedFields(bytes).find(([found]) => found === number)?.[1] ?? Buffer.alloc(0);

const mapOf = (bytes: Buffer, number: number): Record<string, string> =>
  Object.fromEntries(
    delimitedFields(bytes)
      .filter(([found]) => found === number)
      .map(([, entry]) => [field(entry, 1).toString(), field(entry, 2).toString()]),
  );

/** What the trailers of a failure say, checked against each other. */
export const grpcClientError = (error: unknown): unknown => {
  if (!isServiceError(error)) return error;
  const [code] = error.metadata.get("mts-code");
  const [details] = error.metadata.get("grpc-status-details-bin");
  // A status of gRPC's own, such as a deadline.
  if (typeof code !== "string") return error;
  if (!Buffer.isBuffer(details)) throw new ContractError(`${code}: no status details`);
  if (field(details, 2).toString() !== error.details)
    throw new ContractError(`${code}: another message in the details`);
  const info = field(field(details, 3), 2);
  if (field(info, 1).toString() !== code) throw new ContractError(`${code}: another reason in the details`);
  const { retryable, ...fields } = mapOf(info, 3);
  if (error.metadata.get("mts-retryable")[0] !== retryable) throw new ContractError(`${code}: retryable is not sure`);
  return parseError({ ...typedFields(fields), code, detail: error.details, retryable: retryable === "true" }, code);
};

const isServiceError = (error: unknown): error is ServiceError =>
  error instanceof Error && "metadata" in error && error.metadata instanceof Metadata;

/** Numbers come as their digits. */
const typedFields = (fields: Readonly<Record<string, string>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).map(([name, text]) => [name, /^\d+$/.test(text) ? Number(text) : text]));

const methods = loadService("stream.proto", "minitoolstream.v1.StreamService");

/** The client. */
export class GrpcClient implements StreamClient {
  readonly #client: Client;
  readonly #streams: GrpcStream[] = [];

  constructor(target: string) {
    this.#client = connectGrpc(target);
  }

  async publish(draft: Draft): Promise<Receipt> {
    return asCommitted(published(await this.#call("Publish", asRequest(draft))));
  }

  async schedule(draft: Draft): Promise<Scheduled> {
    return asScheduled(published(await this.#call("Publish", asRequest(draft))));
  }

  publishWaiting(): Promise<Acknowledged> {
    return Promise.reject(new Error("gRPC has no publish that waits"));
  }

  async publishBatch(drafts: readonly Draft[]): Promise<readonly (Receipt | ClientError)[]> {
    return (await this.submitBatch(drafts)).map(asCommitted<Receipt | ClientError>);
  }

  async submitBatch(drafts: readonly Draft[]): Promise<readonly (Receipt | Scheduled | ClientError)[]> {
    const reply = await this.#call("PublishBatch", { messages: drafts.map(asRequest) });
    return reply.list("results").map((raw) => {
      const result = new WireMap(raw, "result");
      if (!result.has("error")) return published(new WireMap(result.fields["receipt"], "receipt"));
      const { fields, ...error } = new WireMap(result.fields["error"], "error").fields;
      return parseError(
        { retryable: false, ...typedFields((fields ?? {}) as Record<string, string>), ...error },
        "error",
      );
    });
  }

  async read(subject: string, options: ReadOptions = {}): Promise<Page> {
    const from = options.from === undefined ? {} : { from: String(options.from) };
    return page(await this.#call("Read", { subject, ...pageFields(options), ...from }, options.deliver));
  }

  async fetch(subject: string, consumer: string, options: FetchOptions = {}): Promise<Page> {
    const request = { subject, consumer, ...pageFields(options), auto_ack: options.autoAck ?? false };
    return page(await this.#call("Fetch", request, options.deliver));
  }

  async ack(subject: string, consumer: string, settled: Settled): Promise<{ ackedThrough: number; moved: boolean }> {
    const reply = await this.#call("Ack", { subject, consumer, ...settled });
    return { ackedThrough: numberOf(reply, "acked_through"), moved: reply.fields["moved"] === true };
  }

  async nack(
    subject: string,
    consumer: string,
    sequences: readonly number[],
    delayMs = 0,
    error?: string,
  ): Promise<number> {
    const request = { subject, consumer, sequences, delay_ms: delayMs, ...(error !== undefined && { error }) };
    return numberOf(await this.#call("Nack", request), "redeliver");
  }

  async follow(subject: string, { from, deliver }: Pick<ReadOptions, "from" | "deliver"> = {}): Promise<Live> {
    const stream = callBidi(this.#client, methodOf(methods, "Subscribe"), deliverMetadata(deliver));
    this.#streams.push(stream);
    stream.send({ start: { filter: subject, ...(from !== undefined && { from: String(from) }), credit: -1 } });
    await stream.count(1);
    const live = new Live();
    stream.onReceived((response) => {
      if (response.has("messages")) live.add(messagesOf(response.map("messages")));
    });
    return live;
  }

  async close(): Promise<void> {
    for (const stream of this.#streams) stream.cancel();
    this.#client.close();
    return Promise.resolve();
  }

  async #call(name: string, request: object, deliver?: ReadOptions["deliver"]): Promise<WireMap> {
    try {
      return await callUnary(this.#client, methodOf(methods, name), request, deliverMetadata(deliver));
    } catch (error) {
      throw grpcClientError(error);
    }
  }
}

const asRequest = (draft: Draft): object => ({ ...draftFields(draft), data: bodyBytes(draft.body) });

const pageFields = (options: Omit<ReadOptions, "from">): object => ({
  ...(options.limit === undefined ? {} : { limit: options.limit }),
  max_bytes: options.bodyBytesMax ?? pageBytesMax,
  wait_ms: options.waitMs ?? 0,
});

const deliverMetadata = (deliver: ReadOptions["deliver"]): Metadata => {
  const metadata = new Metadata();
  if (deliver !== undefined) metadata.set("deliver", deliver);
  return metadata;
};

/** What has its zero value is left out on the wire. */
const published = ({ fields }: WireMap): Receipt | Scheduled =>
  parsePublished(new WireMap({ duplicate: false, ...fields }, "receipt"));

/** A number that is left out on the wire when it is 0. */
const numberOf = (map: WireMap, name: string): number => (map.has(name) ? map.integer(name) : 0);

const page = (reply: WireMap): Page => ({
  ...parsePageEnds(new WireMap({ last_sequence: 0, ...reply.fields }, "page")),
  messages: messagesOf(reply),
});

const messagesOf = (reply: WireMap): readonly Received[] =>
  (reply.has("messages") ? reply.list("messages") : []).map((raw) => {
    const map = new WireMap({ headers: {}, ...new WireMap(raw, "message").fields }, "message");
    const sha256 = Buffer.from(map.bytes("sha256")).toString("hex");
    // HTTP has it in hex under the same name, and pointers in a field of their own.
    const { data, ...fields }: Readonly<Record<string, unknown>> = { ...map.fields, sha256 };
    const body = data instanceof Uint8Array ? data : Buffer.alloc(0);
    if (map.strings("headers")["content-type"] !== "application/vnd.s3-pointer+json")
      return parseMessage(new WireMap(fields, "message"), () => body);
    const pointer: unknown = JSON.parse(Buffer.from(body).toString("utf8"));
    return parseMessage(new WireMap({ ...fields, pointer }, "message"), () => body);
  });

/** A stream of messages from the server: what came so far, and how it ended. */
export class GrpcStream {
  readonly received: WireMap[] = [];
  /** Resolves with the status when the stream is over; never rejects. */
  readonly ended: Promise<StatusObject>;
  readonly #call: ClientReadableStream<object> | ClientDuplexStream<object, object>;
  readonly #waiting = new Set<{ readonly count: number; readonly resolve: () => void }>();

  constructor(call: ClientReadableStream<object> | ClientDuplexStream<object, object>) {
    this.#call = call;
    this.ended = new Promise((resolve) => call.on("status", resolve));
    call.on("error", () => undefined);
    call.on("data", (message: object) => {
      this.received.push(new WireMap(message, "stream"));
      for (const waiting of this.#waiting) {
        if (this.received.length < waiting.count) continue;
        this.#waiting.delete(waiting);
        waiting.resolve();
      }
    });
  }

  /** Resolves when so many messages have come; rejects when the stream ends before. */
  count(messages: number): Promise<void> {
    if (this.received.length >= messages) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.add({ count: messages, resolve });
      void this.ended.then(({ code, details }) => reject(new Error(`the stream ended with ${code} ${details}`)));
    });
  }

  /** Calls `then` for everything that came and that comes. */
  onReceived(then: (message: WireMap) => void): void {
    for (const message of this.received) then(message);
    this.#call.on("data", () => {
      const message = this.received.at(-1);
      if (message !== undefined) then(message);
    });
  }

  /** Sends a message of a stream that goes both ways. */
  send(message: object): void {
    if (!("write" in this.#call)) throw new Error("this stream goes one way");
    this.#call.write(message);
  }

  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
  }

  cancel(): void {
    this.#call.cancel();
  }
}

/** Starts a call that answers with a stream. */
export const callStream = (
  client: Client,
  method: Method,
  request: object,
  metadata = new Metadata(),
  deadlineMs = 60_000,
): GrpcStream => {
  const options = { deadline: Date.now() + deadlineMs };
  const { path, requestSerialize, responseDeserialize } = method;
  return new GrpcStream(
    client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request, metadata, options),
  );
};

/** Starts a call in which both sides send. */
export const callBidi = (client: Client, method: Method, metadata = new Metadata()): GrpcStream =>
  new GrpcStream(
    client.makeBidiStreamRequest(method.path, method.requestSerialize, method.responseDeserialize, metadata),
  );
