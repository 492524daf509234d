/**
 * A publisher over HTTP: one connection, one request under way. A plain POST for a single message, a msgpack batch
 * for several.
 * @module
 */
import type { BodyPool } from "./bodies.ts";
import { nowUs } from "./clock.ts";
import { PublishPacker } from "./frames.ts";
import type { Lane, Publisher } from "./lane.ts";
import type { LeanSocket } from "./lean-socket.ts";
import type { Plan } from "./plan.ts";
import { RawHttp } from "./raw-http.ts";
import { readResults } from "./results.ts";
import { Scanner } from "./scan.ts";

const msgpackType = "application/msgpack";

/** One connection that publishes. */
export class HttpPublisher implements Publisher {
  readonly #packer: PublishPacker;
  readonly #scanner = new Scanner();
  /** Request heads by subject, up to the length of the body. */
  readonly #singleHeads: readonly string[];
  readonly #batchHead: string;
  #socket: LeanSocket | undefined;
  #open = false;
  #first = 0;
  #sentUs = 0;
  /** Messages under way. */
  #count = 0;

  private constructor(
    private readonly plan: Plan,
    readonly lane: Lane,
    private readonly pool: BodyPool,
  ) {
    const { host } = new URL(plan.url);
    this.#packer = new PublishPacker(plan.subjects, pool, lane.id);
    this.#singleHeads = plan.subjects.map((subject) =>
      requestHead(`/v1/subjects/${encodeURIComponent(subject)}/messages`, host, "application/octet-stream"),
    );
    this.#batchHead = requestHead("/v1/messages", host, msgpackType, `Accept: ${msgpackType}\r\n`);
  }

  /** Connects. Rejects when the server does not answer. */
  static async connect(plan: Plan, lane: Lane, pool: BodyPool): Promise<HttpPublisher> {
    const publisher = new HttpPublisher(plan, lane, pool);
    publisher.#socket = await RawHttp.connect(new URL(plan.url), {
      answer: (status, type, bytes, start, end) => {
        publisher.#answer(status, type, bytes, start, end);
        publisher.pump();
      },
      writable: () => publisher.pump(),
      closed: (reason, detail) => publisher.#closed(reason, detail),
    });
    publisher.#open = true;
    return publisher;
  }

  get underWay(): number {
    return this.#count === 0 ? 0 : 1;
  }

  pump(): void {
    const socket = this.#socket;
    if (socket === undefined || !this.#open || this.#count > 0) return;
    const now = nowUs();
    const count = this.lane.due(this.plan.batch, now);
    if (count === 0) return;
    const first = this.lane.next;
    const single = this.plan.batch === 1;
    const bytes = single ? this.pool.size(this.lane.id, first) : this.#packer.requestBytes(first, count);
    const start = single ? this.#singleHeads[this.#packer.subjectOf(first)] : this.#batchHead;
    const head = `${start}${bytes}\r\n\r\n`;
    if (!socket.reserve(head.length + bytes)) return;
    const at = socket.outEnd + socket.out.write(head, socket.outEnd, "latin1");
    socket.outEnd = single
      ? this.pool.write(socket.out, at, this.lane.id, first, this.lane.intendedUs(first, now))
      : this.#packer.request(socket.out, at, first, this.#intended(first, count, now));
    this.#first = first;
    this.#count = count;
    this.#sentUs = now;
    this.lane.next += count;
    socket.flush();
  }

  close(): void {
    this.#open = false;
    this.#giveUp("no_answer");
    this.#socket?.end();
  }

  #intended(first: number, count: number, now: number): number[] {
    return Array.from({ length: count }, (_, i) => this.lane.intendedUs(first + i, now));
  }

  #answer(status: number, type: string, bytes: Buffer, start: number, end: number): void {
    const first = this.#first;
    const count = this.#count;
    this.#count = 0;
    const arrivedUs = nowUs();
    const acked = (index: number, sequence: number): void => {
      const number = first + index;
      this.lane.acked(number, sequence, this.lane.intendedUs(number, this.#sentUs), arrivedUs);
    };
    const refused = (index: number, code: string): void => this.lane.notAcked(first + index, 1, code);
    if (status >= 300) {
      const problem = parseObject(bytes.toString("utf8", start, end));
      const code = typeof problem["code"] === "string" ? problem["code"] : `http_${status}`;
      const detail = typeof problem["detail"] === "string" ? problem["detail"] : undefined;
      this.lane.notAcked(first, count, code, detail);
    } else if (type === msgpackType) {
      const scanner = this.#scanner;
      scanner.over(bytes, start, end);
      for (let pairs = scanner.mapHead(); pairs > 0; pairs--) {
        if (scanner.text() === "results") readResults(scanner, count, { acked, refused });
        else scanner.skip();
      }
    } else if (this.plan.batch === 1) {
      acked(0, sequenceIn(bytes, start, end));
    } else readJsonResults(bytes.toString("utf8", start, end), count, acked, refused);
  }

  #closed(reason: string, detail: string | undefined): void {
    if (!this.#open) return;
    this.#open = false;
    this.lane.stopped = true;
    this.lane.tally.broken++;
    this.#giveUp(reason, detail);
  }

  #giveUp(code: string, detail?: string): void {
    if (this.#count === 0) return;
    this.lane.notAcked(this.#first, this.#count, code, detail);
    this.#count = 0;
  }
}

const requestHead = (path: string, host: string, type: string, more = ""): string =>
  `POST ${path} HTTP/1.1\r\nHost: ${host}\r\n${more}Content-Type: ${type}\r\nContent-Length: `;

const sequenceKey = Buffer.from('"sequence":');

/** The sequence in a JSON receipt, without reading the rest of it. */
const sequenceIn = (bytes: Buffer, start: number, end: number): number => {
  const key = bytes.indexOf(sequenceKey, start);
  let sequence = 0;
  if (key >= 0) {
    for (let at = key + sequenceKey.length; at < end; at++) {
      const digit = (bytes[at] ?? 0) - 0x30;
      if (digit < 0 || digit > 9) break;
      sequence = sequence * 10 + digit;
    }
  }
  if (sequence === 0) throw new Error("the server's receipt has no sequence");
  return sequence;
};

type JsonObject = Readonly<Record<string, unknown>>;

/** The object that a text holds; an empty one when it holds none. */
const parseObject = (text: string): JsonObject => {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as JsonObject) : {};
  } catch {
    return {};
  }
};

const readJsonResults = (
  text: string,
  count: number,
  acked: (index: number, sequence: number) => void,
  refused: (index: number, code: string) => void,
): void => {
  const { results } = parseObject(text) as { readonly results?: readonly JsonObject[] };
  if (results?.length !== count) throw new Error(`the server did not answer ${count} results for ${count} messages`);
  results.forEach((result, i) => {
    const error = result["error"] as JsonObject | undefined;
    if (error === undefined) acked(i, Number(result["sequence"]));
    else refused(i, String(error["code"]));
  });
};
