/**
 * Many GraphQL subscribers in one process, on plain TCP connections: frames are found and checked in the bytes as they
 * come, because a WebSocket client for each would need more of the machine than the server that is measured.
 *
 * Speaks with its parent by messages: `{type: "ready"}`, then `{type: "progress", frames}` twice a second; on `"report"`
 * it answers with a `SubscribersReport`.
 * @module
 */
import { randomBytes, randomUUID } from "node:crypto";
import type { Socket } from "bun";

/** What all subscribers got together. */
export interface SubscribersReport {
  readonly type: "report";
  /** Events, over all subscribers. */
  readonly frames: number;
  /** Events that were not the next of their type: missed, repeated or out of order. */
  readonly wrong: number;
  /** The fewest and the most that one subscriber got. */
  readonly fewest: number;
  readonly most: number;
  /** Subscribers whose connection ended. */
  readonly closed: number;
  /** From just before the publish until the frame was read here, of one frame in 61, the first second left out. */
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly max: number };
}

/** The question of the subscription; `userId` is the time of the publish. */
export const subscription = "subscription { eventStream { id userId eventType amount timestamp } }";

/** A prime, so that all subscribers are in it. */
const sampleEvery = 61;
const progressMs = 500;
/** Connections that are made at the same time. */
const handshakesMax = 50;
const prefix = `","type":"next","payload":{"data":{"eventStream":{"id":"`;
const idChars = 36;
/** Where the id of the event begins in a frame. */
const eventAt = `{"id":"`.length + idChars + prefix.length;
/** What tells the types from each other: the third letter. */
const typeAt = 2;
const typeIndex: Readonly<Record<number, number>> = { 0x72: 0, 0x74: 1, 0x66: 2 };
/** `purchase-`, `return-`, `refund-` */
const digitsAt = [9, 7, 7];
const userIdKey = `","userId":"`.length;

/** What all subscribers write down together. */
class Latencies {
  readonly ms: number[] = [];
  #frames = 0;

  /** @param skipped frames of each subscriber that are not looked at */
  constructor(readonly skipped: number) {}

  /** Whether the next frame is one of the sample. */
  isNext(): boolean {
    return ++this.#frames % sampleEvery === 0;
  }
}

class Subscriber {
  frames = 0;
  wrong = 0;
  isClosed = false;
  readonly #last = [0, 0, 0];
  readonly #live = Promise.withResolvers<undefined>();
  readonly id = randomUUID();
  #rest: Buffer = Buffer.alloc(0);
  #isUpgraded = false;

  constructor(private readonly latencies: Latencies) {}

  /** Resolves when the server has answered what follows the subscription. */
  get live(): Promise<undefined> {
    return this.#live.promise;
  }

  received(socket: Socket, data: Buffer): void {
    let buffer = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data]);
    if (!this.#isUpgraded) {
      const end = buffer.indexOf("\r\n\r\n");
      if (end === -1) {
        this.#rest = Buffer.from(buffer);
        return;
      }
      if (!buffer.toString("latin1", 0, 12).endsWith("101")) throw new Error(buffer.toString("latin1"));
      this.#isUpgraded = true;
      buffer = buffer.subarray(end + 4);
      const payload = { query: subscription };
      socket.write(clientFrame(JSON.stringify({ type: "connection_init" })));
      socket.write(clientFrame(JSON.stringify({ id: this.id, type: "subscribe", payload })));
      socket.write(clientFrame(JSON.stringify({ type: "ping" })));
    }
    let at = 0;
    for (;;) {
      if (buffer.length - at < 4) break;
      const short = (buffer[at + 1] ?? 0) & 0x7f;
      const headBytes = short < 126 ? 2 : 4;
      const length = short < 126 ? short : buffer.readUInt16BE(at + 2);
      if (buffer.length - at < headBytes + length) break;
      this.#frame(socket, buffer, at, at + headBytes, length);
      at += headBytes + length;
    }
    // Copied: the bytes belong to the runtime.
    this.#rest = at === buffer.length ? Buffer.alloc(0) : Buffer.from(buffer.subarray(at));
  }

  #frame(socket: Socket, buffer: Buffer, head: number, start: number, length: number): void {
    const opcode = (buffer[head] ?? 0) & 0xf;
    if (opcode === 9) socket.write(clientFrame(buffer.subarray(start, start + length), 0x8a));
    if (opcode !== 1) return;
    // Only a `next` begins with an id.
    if (length < eventAt || buffer[start + 2] !== 0x69) {
      if (buffer.toString("latin1", start, start + length).includes("pong")) this.#live.resolve(undefined);
      return;
    }
    const id = start + eventAt;
    const type = typeIndex[buffer[id + typeAt] ?? 0] ?? 0;
    let digit = id + (digitsAt[type] ?? 0);
    let sequence = 0;
    for (let byte = buffer[digit] ?? 0; byte !== 0x22; byte = buffer[++digit] ?? 0x22)
      sequence = sequence * 10 + byte - 48;
    if (sequence !== (this.#last[type] ?? 0) + 1) this.wrong++;
    this.#last[type] = sequence;
    if (this.frames++ < this.latencies.skipped || !this.latencies.isNext()) return;
    const sentMs = Number.parseFloat(buffer.toString("latin1", digit + userIdKey, digit + userIdKey + 17));
    this.latencies.ms.push(performance.timeOrigin + performance.now() - sentMs);
  }
}

/** A frame as clients send it: masked, with a mask of zeros. */
const clientFrame = (payload: string | Uint8Array, first = 0x81): Uint8Array => {
  const bytes = Buffer.from(payload as string);
  const head =
    bytes.length < 126 ? [first, 0x80 | bytes.length] : [first, 0x80 | 126, bytes.length >> 8, bytes.length & 0xff];
  return Buffer.concat([Buffer.from([...head, 0, 0, 0, 0]), bytes]);
};

const connect = async (url: URL, latencies: Latencies): Promise<Subscriber> => {
  const subscriber = new Subscriber(latencies);
  await Bun.connect({
    hostname: url.hostname,
    port: Number(url.port),
    socket: {
      open: (socket) => {
        socket.write(
          [
            "GET /graphql HTTP/1.1",
            `Host: ${url.host}`,
            "Upgrade: websocket",
            "Connection: Upgrade",
            `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}`,
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Protocol: graphql-transport-ws",
            "\r\n",
          ].join("\r\n"),
        );
      },
      data: (socket, data) => subscriber.received(socket, data),
      close: () => {
        subscriber.isClosed = true;
      },
    },
  });
  await subscriber.live;
  return subscriber;
};

const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;

const main = async (address: string, count: number, skipped: number): Promise<void> => {
  const tell = (message: unknown): void => void process.send?.(message);
  const latencies = new Latencies(skipped);
  const subscribers: Subscriber[] = [];
  const url = new URL(address);
  while (subscribers.length < count) {
    const some = Math.min(handshakesMax, count - subscribers.length);
    subscribers.push(...(await Promise.all(Array.from({ length: some }, () => connect(url, latencies)))));
  }
  const frames = (): number => subscribers.reduce((sum, each) => sum + each.frames, 0);
  process.on("message", () => {
    const sorted = latencies.ms.sort((a, b) => a - b);
    const counts = subscribers.map((each) => each.frames);
    const report: SubscribersReport = {
      type: "report",
      frames: frames(),
      wrong: subscribers.reduce((sum, each) => sum + each.wrong, 0),
      fewest: Math.min(...counts),
      most: Math.max(...counts),
      closed: subscribers.filter((each) => each.isClosed).length,
      latencyMs: { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), max: sorted.at(-1) ?? 0 },
    };
    tell(report);
  });
  setInterval(() => tell({ type: "progress", frames: frames() }), progressMs);
  tell({ type: "ready" });
};

if (import.meta.main) await main(Bun.argv[2] ?? "", Number(Bun.argv[3]), Number(Bun.argv[4]));
