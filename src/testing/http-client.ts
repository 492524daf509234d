/**
 * A strict HTTP client in three formats: what is published and read as JSON, as msgpack, or as NDJSON.
 * @module
 */
import {
  type Acknowledged,
  asCommitted,
  asScheduled,
  bodyBytes,
  ClientError,
  type Draft,
  draftFields,
  type FetchOptions,
  isScheduled,
  msgpackDraft,
  type Page,
  packMsgpack,
  parseAcknowledged,
  parseError,
  parseMessage,
  parsePageEnds,
  parsePublished,
  parseResults,
  type ReadOptions,
  type Receipt,
  type Received,
  type Scheduled,
  type Settled,
  type StreamClient,
  unpackMsgpack,
} from "./client.ts";
import { Live } from "./live.ts";
import { SseStream } from "./sse.ts";
import { ContractError, jsonBody, utf8Text, WireMap } from "./wire.ts";

/** How messages travel in requests and answers. */
export type HttpFormat = "json" | "msgpack" | "ndjson";

const mediaTypes = {
  json: "application/json",
  msgpack: "application/msgpack",
  ndjson: "application/x-ndjson",
} as const satisfies Record<HttpFormat, string>;

/** State of a consumer as HTTP shows it. */
export interface ConsumerReply {
  readonly name: string;
  readonly subject: string;
  readonly ack: string;
  readonly ackedThrough: number;
  readonly deliveredThrough: number;
  readonly pending: number;
  readonly ackPending: number;
  readonly redelivered: number;
  readonly createdAtMs: number;
}

/** Body of `PUT …/consumers/{name}`, as on the wire. */
export interface ConsumerBody {
  readonly start?: string | number;
  readonly ack?: "all" | "explicit";
  readonly ack_wait_ms?: number;
  readonly max_deliver?: number;
  readonly max_ack_pending?: number;
  readonly dead_letter?: string;
}

/** Latin-1 characters standing for the UTF-8 bytes: how `fetch` sends and shows header values. */
export const asHeaderValue = (text: string): string => Buffer.from(text, "utf8").toString("latin1");

/** The text of a header value that `fetch` read as Latin-1. */
export const fromHeaderValue = (raw: string): string => Buffer.from(raw, "latin1").toString("utf8");

/** Reads `application/problem+json` and checks everything the contract says of it. */
export const readProblem = async (response: Response): Promise<ClientError> => {
  const where = `problem of ${response.url}`;
  const type = response.headers.get("content-type") ?? "";
  if (!/^application\/problem\+json(;|$)/.test(type)) {
    throw new ContractError(`${where}: ${response.status} with content type ${type}: ${await response.text()}`);
  }
  const raw: unknown = await response.json();
  const map = new WireMap(raw, where);
  map.string("type");
  if (map.string("title") === "") throw new ContractError(`${where}: no title`);
  if (map.integer("status", 400) !== response.status) throw new ContractError(`${where}: status is not the response's`);
  return parseError(raw, where);
};

/** The client. */
export class HttpClient implements StreamClient {
  readonly url: string;
  readonly #format: HttpFormat;
  readonly #tails: SseStream[] = [];

  constructor(url: string, format: HttpFormat = "json") {
    this.url = url;
    this.#format = format;
  }

  async publish(draft: Draft): Promise<Receipt> {
    return asCommitted(await this.#publishOne(draft));
  }

  async schedule(draft: Draft): Promise<Scheduled> {
    return asScheduled(await this.#publishOne(draft));
  }

  async publishWaiting(draft: Draft, wait: string, waitMs?: number): Promise<Acknowledged> {
    const query = `?wait=${wait}${waitMs === undefined ? "" : `&wait_ms=${waitMs}`}`;
    return parseAcknowledged(await this.#publishRaw(draft, query));
  }

  async publishBatch(drafts: readonly Draft[]): Promise<readonly (Receipt | ClientError)[]> {
    return (await this.submitBatch(drafts)).map(asCommitted<Receipt | ClientError>);
  }

  async submitBatch(drafts: readonly Draft[]): Promise<readonly (Receipt | Scheduled | ClientError)[]> {
    const response = await this.call("POST", "/v1/messages", {
      headers: { "content-type": mediaTypes[this.#format], accept: this.#acceptMap },
      body: this.#batchBody(drafts),
    });
    const results = parseResults(new WireMap(await this.#readMap(response), "batch"), "batch");
    if (results.length !== drafts.length) throw new ContractError("batch: another number of results");
    return results;
  }

  async read(subject: string, options: ReadOptions = {}): Promise<Page> {
    const query = new URLSearchParams();
    if (options.from !== undefined) query.set("from", String(options.from));
    if (options.limit !== undefined) query.set("limit", String(options.limit));
    if (options.bodyBytesMax !== undefined) query.set("max_bytes", String(options.bodyBytesMax));
    if (options.waitMs !== undefined) query.set("wait_ms", String(options.waitMs));
    if (options.deliver !== undefined) query.set("deliver", options.deliver);
    const path = `${subjectPath(subject)}/messages${query.size === 0 ? "" : `?${query.toString()}`}`;
    return await this.#readPage(
      await this.call("GET", path, { headers: { accept: mediaTypes[this.#format] } }),
      subject,
    );
  }

  async fetch(subject: string, consumer: string, options: FetchOptions = {}): Promise<Page> {
    const response = await this.call("POST", `${consumerPath(subject, consumer)}/fetch`, {
      headers: { "content-type": "application/json", accept: mediaTypes[this.#format] },
      body: JSON.stringify({
        limit: options.limit,
        max_bytes: options.bodyBytesMax,
        wait_ms: options.waitMs,
        auto_ack: options.autoAck,
        deliver: options.deliver,
      }),
    });
    const page = await this.#readPage(response, subject);
    if (page.messages.some((message) => message.deliveries === undefined)) throw new ContractError("no deliveries");
    return page;
  }

  async ack(subject: string, consumer: string, settled: Settled): Promise<{ ackedThrough: number; moved: boolean }> {
    const reply = await this.#json("POST", `${consumerPath(subject, consumer)}/ack`, settled);
    return { ackedThrough: reply.integer("acked_through"), moved: reply.boolean("moved") };
  }

  async nack(
    subject: string,
    consumer: string,
    sequences: readonly number[],
    delayMs?: number,
    error?: string,
  ): Promise<number> {
    const body = { sequences, delay_ms: delayMs, error };
    return (await this.#json("POST", `${consumerPath(subject, consumer)}/nack`, body)).integer("redeliver");
  }

  /** As an event stream. */
  async follow(subject: string, options: Pick<ReadOptions, "from" | "deliver"> = {}): Promise<Live> {
    const query = new URLSearchParams({ from: String(options.from ?? "new"), deliver: options.deliver ?? "body" });
    const stream = await SseStream.open(`${this.url}${subjectPath(subject)}/messages?${query.toString()}`);
    this.#tails.push(stream);
    const opened = await stream.nextEvent();
    if (opened?.event !== "open") throw new ContractError(`an event stream begins with ${String(opened?.event)}`);
    const live = new Live();
    collectEvents(stream, live).catch((error: unknown) => {
      live.conditions.fail(error instanceof Error ? error : new Error(String(error)));
    });
    return live;
  }

  async peek(subject: string, consumer: string, limit?: number): Promise<Page> {
    const path = `${consumerPath(subject, consumer)}/peek${limit === undefined ? "" : `?limit=${limit}`}`;
    return await this.#readPage(
      await this.call("GET", path, { headers: { accept: mediaTypes[this.#format] } }),
      subject,
    );
  }

  /** @returns whether it was created (201) or was there with the same configuration (200). */
  async putConsumer(subject: string, name: string, body: ConsumerBody): Promise<ConsumerReply & { created: boolean }> {
    const response = await this.call("PUT", consumerPath(subject, name), {
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return { ...parseConsumer(await response.json()), created: response.status === 201 };
  }

  async consumer(subject: string, name: string): Promise<ConsumerReply> {
    return parseConsumer((await this.#json("GET", consumerPath(subject, name))).fields);
  }

  async consumers(subject: string): Promise<readonly ConsumerReply[]> {
    return (await this.#json("GET", `${subjectPath(subject)}/consumers`)).list("consumers").map(parseConsumer);
  }

  async deleteConsumer(subject: string, name: string): Promise<ConsumerReply> {
    return parseConsumer((await this.#json("DELETE", consumerPath(subject, name))).fields);
  }

  /** Deletes through the sequence; answers how many messages were deleted. */
  async purge(subject: string, through: number): Promise<number> {
    return (await this.#json("DELETE", `${subjectPath(subject)}/messages?through=${through}`)).integer("deleted");
  }

  async subject(subject: string): Promise<WireMap> {
    return await this.#json("GET", subjectPath(subject));
  }

  /** Body of one stored message. */
  async message(subject: string, sequence: number): Promise<Uint8Array> {
    const response = await this.call("GET", `${subjectPath(subject)}/messages/${sequence}`);
    return new Uint8Array(await response.arrayBuffer());
  }

  async close(): Promise<void> {
    for (const tail of this.#tails) tail.close();
    return Promise.resolve();
  }

  /** Any request; rejects with `ClientError` unless the status is 2xx. */
  async call(method: string, path: string, init: RequestInit = {}): Promise<Response> {
    const response = await fetch(this.url + path, { ...init, method });
    if (!response.ok) throw await readProblem(response);
    return response;
  }

  async #json(method: string, path: string, body?: unknown): Promise<WireMap> {
    const init =
      body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
    const response = await this.call(method, path, init);
    expectType(response, "application/json");
    return new WireMap(await response.json(), `${method} ${path}`);
  }

  /** One message a request where HTTP can express it, else a batch of one. */
  async #publishOne(draft: Draft): Promise<Receipt | Scheduled> {
    if (this.#format === "json" && fitsRequest(draft)) return parsePublished(await this.#publishRaw(draft));
    const [result] = await this.submitBatch([draft]);
    if (result === undefined) throw new ContractError("publish: no result");
    if (result instanceof ClientError) throw result;
    return result;
  }

  async #publishRaw(draft: Draft, query = ""): Promise<WireMap> {
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(draft.headers ?? {})) {
      headers[ownHeaders.has(name) ? name : `x-meta-${name}`] = asHeaderValue(value);
    }
    if (draft.messageId !== undefined) headers["idempotency-key"] = asHeaderValue(draft.messageId);
    if (draft.expectedLastSequence !== undefined)
      headers["expected-last-sequence"] = String(draft.expectedLastSequence);
    if (draft.ttlMs !== undefined) headers["message-ttl"] = `${draft.ttlMs}ms`;
    if (draft.delayMs !== undefined) headers["delay"] = `${draft.delayMs}ms`;
    if (draft.deliverAtMs !== undefined) headers["deliver-at"] = String(draft.deliverAtMs);
    const response = await this.call("POST", `${subjectPath(draft.subject)}/messages${query}`, {
      headers,
      body: new Uint8Array(bodyBytes(draft.body)),
    });
    expectType(response, "application/json");
    const map = new WireMap(await response.json(), "publish");
    const published = parsePublished(map);
    const expected = isScheduled(published) ? 202 : published.duplicate ? 200 : 201;
    if (response.status !== expected) throw new ContractError(`publish: ${response.status}`);
    if (expected === 201 && !response.headers.has("location")) throw new ContractError("publish: no Location");
    return map;
  }

  /** Maps are never NDJSON. */
  get #acceptMap(): string {
    return mediaTypes[this.#format === "msgpack" ? "msgpack" : "json"];
  }

  #batchBody(drafts: readonly Draft[]): Uint8Array<ArrayBuffer> | string {
    if (this.#format === "msgpack") {
      return new Uint8Array(packMsgpack({ messages: drafts.map(msgpackDraft) }));
    }
    const messages = drafts.map((draft) => ({ ...draftFields(draft), ...textOrBase64(bodyBytes(draft.body)) }));
    if (this.#format === "ndjson") return messages.map((message) => `${JSON.stringify(message)}\n`).join("");
    return JSON.stringify({ messages });
  }

  async #readMap(response: Response): Promise<unknown> {
    expectType(response, this.#acceptMap);
    return this.#format === "msgpack"
      ? unpackMsgpack(new Uint8Array(await response.arrayBuffer()), response.url)
      : await response.json();
  }

  async #readPage(response: Response, subject: string): Promise<Page> {
    const page =
      this.#format === "ndjson" ? await readNdjsonPage(response) : this.#parsePage(await this.#readMap(response));
    for (const message of page.messages) {
      if (message.subject !== subject) throw new ContractError(`a message of ${message.subject} on ${subject}`);
    }
    return page;
  }

  #parsePage(raw: unknown): Page {
    const map = new WireMap(raw, "page");
    map.string("subject");
    return { ...parsePageEnds(map), messages: map.list("messages").map((item) => this.#parseMessage(item)) };
  }

  #parseMessage(raw: unknown): Received {
    const map = new WireMap(raw, "message");
    if (this.#format === "json") return parseHttpJsonMessage(raw);
    map.integer("size");
    map.string("sha256");
    return parseMessage(map, () => map.bytes("data"));
  }
}

/** `/v1/subjects/{subject}`, the subject one percent-encoded segment. */
export const subjectPath = (subject: string): string => `/v1/subjects/${encodeURIComponent(subject)}`;

/** `/v1/subjects/{subject}/consumers/{name}`. */
export const consumerPath = (subject: string, name: string): string =>
  `${subjectPath(subject)}/consumers/${encodeURIComponent(name)}`;

/** `data` for text, `data_base64` for the rest. */
export const textOrBase64 = (body: Uint8Array): { data: string } | { data_base64: string } => {
  const text = utf8Text(body);
  return text === undefined ? { data_base64: Buffer.from(body).toString("base64") } : { data: text };
};

/** A message as HTTP writes it in JSON, NDJSON and SSE. */
export const parseHttpJsonMessage = (raw: unknown): Received => {
  const map = new WireMap(raw, "message");
  map.integer("size");
  map.string("sha256");
  return parseMessage(map, () => {
    const body = jsonBody(map, "message");
    if (!map.has("data") && utf8Text(body) !== undefined) throw new ContractError("text was sent as data_base64");
    return body;
  });
};

/** Ends with the stream. */
const collectEvents = async (stream: SseStream, live: Live): Promise<void> => {
  for (let event = await stream.nextEvent(); event !== undefined; event = await stream.nextEvent()) {
    if (event.event === "message") live.add([parseHttpJsonMessage(JSON.parse(event.data))]);
  }
};

/** The integer of a response header. */
export const integerHeader = (response: Response, name: string, min = 0): number =>
  new WireMap({ [name]: Number(response.headers.get(name) ?? Number.NaN) }, "response headers").integer(name, min);

const readNdjsonPage = async (response: Response): Promise<Page> => {
  expectType(response, mediaTypes.ndjson);
  const lines = (await response.text()).split("\n");
  if (lines.pop() !== "") throw new ContractError("NDJSON: the last line has no end");
  return {
    epoch: response.headers.get("x-epoch") ?? "",
    firstSequence: integerHeader(response, "x-first-sequence", 1),
    lastSequence: integerHeader(response, "x-last-sequence"),
    nextSequence: integerHeader(response, "x-next-sequence", 1),
    messages: lines.map((line) => parseHttpJsonMessage(JSON.parse(line))),
  };
};

const expectType = (response: Response, type: string): void => {
  const actual = (response.headers.get("content-type") ?? "").split(";")[0]?.trim();
  if (actual !== type) throw new ContractError(`${response.url}: content type ${String(actual)}, not ${type}`);
};

const parseConsumer = (raw: unknown): ConsumerReply => {
  const map = new WireMap(raw, "consumer");
  return {
    name: map.string("name"),
    subject: map.string("subject"),
    ack: map.string("ack"),
    ackedThrough: map.integer("acked_through"),
    deliveredThrough: map.integer("delivered_through"),
    pending: map.integer("pending"),
    ackPending: map.integer("ack_pending"),
    redelivered: map.integer("redelivered"),
    createdAtMs: map.integer("created_at", 1),
  };
};

/** Message headers that HTTP has headers of its own for. */
const ownHeaders: ReadonlySet<string> = new Set(["content-type", "content-encoding"]);

const headerName = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;

/** Whether a request of its own can carry the draft: path, header names and values all survive HTTP unchanged. */
const fitsRequest = (draft: Draft): boolean =>
  !["", ".", ".."].includes(draft.subject) &&
  draft.subject.isWellFormed() &&
  draft.messageId !== "" &&
  Object.entries(draft.headers ?? {}).every(
    ([name, value]) => headerName.test(name) && value.trim() === value && !/\p{Cc}/u.test(value),
  );
