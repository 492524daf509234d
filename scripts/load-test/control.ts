/**
 * A server that only answers: it numbers what is published, hands it to the subscribers, and forgets it. Measured
 * against it, a load test shows what the generator itself can do: the control row of every comparison.
 * Run by itself it prints its URL.
 * @module
 */
import type { ServerWebSocket } from "bun";
import { MsgpackWriter } from "../../src/codec/msgpack-writer.ts";
import { Scanner, word } from "./scan.ts";

/** What is done to a message on its way to a subscriber, for tests of the checks: the messages that are pushed. */
export type Meddle = (message: PushedMessage) => readonly PushedMessage[];

/** A message as it is pushed. */
export interface PushedMessage {
  readonly subject: string;
  readonly sequence: number;
  readonly body: Buffer;
}

interface Connection {
  subscribed: boolean;
}

interface Published {
  readonly subject: string;
  readonly sequence: number;
}

const epoch = "control";
const frameBytesMax = 128 * 1024 * 1024;

/** The part of msgpack that a published message needs, in place. */
class Control {
  readonly #scanner = new Scanner();
  readonly #writer = new MsgpackWriter();
  readonly #sequences = new Map<string, number>();
  readonly #subscribers = new Set<ServerWebSocket<Connection>>();
  #pushes: PushedMessage[] = [];
  /** Subject text by its bytes, as decoding it anew costs more than all else. */
  #lastSubject = "";
  #lastSubjectBytes = Buffer.alloc(0);

  constructor(private readonly meddle: Meddle | undefined) {}

  open(socket: ServerWebSocket<Connection>): void {
    this.#send(socket, {
      ...{ op: "welcome", server: "control", version: "0", node: "control", epoch },
      ...{ max_frame_bytes: frameBytesMax, max_body_bytes: frameBytesMax / 2, heartbeat_ms: 30_000 },
    });
  }

  close(socket: ServerWebSocket<Connection>): void {
    this.#subscribers.delete(socket);
  }

  message(socket: ServerWebSocket<Connection>, frame: Buffer): void {
    const scanner = this.#scanner;
    scanner.over(frame, 0, frame.length);
    let id = 0;
    let subject = "";
    let filter = false;
    let published: Published | undefined;
    let results: Published[] | undefined;
    for (let pairs = scanner.mapHead(); pairs > 0; pairs--) {
      switch (scanner.word()) {
        case word.id:
          id = scanner.integer();
          break;
        case word.subject:
          subject = this.#subject(frame);
          break;
        case word.data:
          published = this.#publish(frame, subject);
          break;
        case word.messages:
          results = this.#publishAll(frame);
          break;
        case word.op:
          filter = scanner.text() === "subscribe";
          break;
        default:
          scanner.skip();
      }
    }
    if (published !== undefined) this.#published(socket, id, published);
    else if (results !== undefined) this.#send(socket, { op: "published_batch", id, results: results.map(receipt) });
    else if (filter) {
      this.#subscribers.add(socket);
      this.#send(socket, { op: "subscribed", id, sid: 1, filter: "", epoch });
    }
  }

  #published(socket: ServerWebSocket<Connection>, id: number, { subject, sequence }: Published): void {
    const writer = this.#writer;
    writer.reset();
    writer.mapHead(6);
    writer.string("op");
    writer.string("published");
    writer.string("id");
    writer.number(id);
    writer.string("subject");
    writer.string(subject);
    writer.string("sequence");
    writer.number(sequence);
    writer.string("timestamp");
    writer.number(Date.now());
    writer.string("duplicate");
    writer.boolean(false);
    socket.sendBinary(writer.view());
  }

  /** One message over HTTP. */
  post(subject: string, body: Buffer): Published {
    const published = this.#number(subject, body);
    return published;
  }

  /** A batch over HTTP. */
  postAll(request: Buffer): Buffer {
    const scanner = this.#scanner;
    scanner.over(request, 0, request.length);
    scanner.mapHead();
    scanner.skip();
    const results = this.#publishAll(request);
    const writer = this.#writer;
    writer.reset();
    writer.value({ results: results.map(receipt) });
    return Buffer.from(writer.copy());
  }

  listing(): unknown {
    const subjects = [...this.#sequences].map(([subject, last]) => ({
      ...{ subject, first_sequence: 1, last_sequence: last, messages: last, bytes: 0 },
    }));
    return { subjects, has_more: false };
  }

  #publishAll(frame: Buffer): Published[] {
    const scanner = this.#scanner;
    const results: Published[] = [];
    for (let messages = scanner.arrayHead(); messages > 0; messages--) {
      let subject = "";
      for (let pairs = scanner.mapHead(); pairs > 0; pairs--) {
        const key = scanner.word();
        if (key === word.subject) subject = this.#subject(frame);
        else if (key === word.data) results.push(this.#publish(frame, subject));
        else scanner.skip();
      }
    }
    return results;
  }

  #subject(frame: Buffer): string {
    const length = this.#scanner.bytes();
    const end = this.#scanner.at;
    const known = this.#lastSubjectBytes;
    if (length === known.length && frame.compare(known, 0, length, end - length, end) === 0) return this.#lastSubject;
    this.#lastSubjectBytes = Buffer.from(frame.subarray(end - length, end));
    this.#lastSubject = this.#lastSubjectBytes.toString();
    return this.#lastSubject;
  }

  #publish(frame: Buffer, subject: string): Published {
    const length = this.#scanner.bytes();
    return this.#number(subject, frame.subarray(this.#scanner.at - length, this.#scanner.at));
  }

  #number(subject: string, body: Buffer): Published {
    const sequence = (this.#sequences.get(subject) ?? 0) + 1;
    this.#sequences.set(subject, sequence);
    if (this.#subscribers.size > 0) {
      // All that comes in one turn leaves in one frame.
      if (this.#pushes.length === 0) setImmediate(this.#push);
      const message = { subject, sequence, body };
      if (this.meddle === undefined) this.#pushes.push(message);
      else this.#pushes.push(...this.meddle(message));
    }
    return { subject, sequence };
  }

  readonly #push = (): void => {
    const writer = this.#writer;
    writer.reset();
    writer.mapHead(3);
    writer.string("op");
    writer.string("messages");
    writer.string("sid");
    writer.number(1);
    writer.string("messages");
    writer.arrayHead(this.#pushes.length);
    for (const { subject, sequence, body } of this.#pushes) {
      writer.arrayHead(6);
      writer.string(subject);
      writer.number(sequence);
      writer.number(Date.now());
      writer.mapHead(0);
      writer.binary(body);
      writer.number(1);
    }
    this.#pushes = [];
    for (const subscriber of this.#subscribers) subscriber.sendBinary(writer.view());
  };

  #send(socket: ServerWebSocket<Connection>, fields: Readonly<Record<string, unknown>>): void {
    const writer = this.#writer;
    writer.reset();
    writer.value(fields);
    socket.sendBinary(writer.view());
  }
}

const receipt = ({ subject, sequence }: Published) => ({ subject, sequence, timestamp: Date.now(), duplicate: false });

/** Starts one on any free port. */
export const startControl = (meddle?: Meddle): { readonly url: string; stop(): Promise<void> } => {
  const control = new Control(meddle);
  const server = Bun.serve<Connection>({
    hostname: "127.0.0.1",
    port: 0,
    maxRequestBodySize: frameBytesMax,
    async fetch(request, bun) {
      const { pathname } = new URL(request.url);
      if (pathname === "/v1/ws") {
        const headers = { "Sec-WebSocket-Protocol": "mts.msgpack.v1" };
        return bun.upgrade(request, { data: { subscribed: false }, headers })
          ? undefined
          : new Response(null, { status: 426 });
      }
      if (pathname === "/v1/messages") {
        const results = control.postAll(Buffer.from(await request.arrayBuffer()));
        return new Response(results, { headers: { "Content-Type": "application/msgpack" } });
      }
      const subject = /^\/v1\/subjects\/([^/]+)\/messages$/.exec(pathname)?.[1];
      if (subject !== undefined) {
        const body = Buffer.from(await request.arrayBuffer());
        return Response.json(receipt(control.post(decodeURIComponent(subject), body)), { status: 201 });
      }
      if (pathname === "/v1/subjects") return Response.json(control.listing());
      return pathname === "/healthz" ? new Response("ok") : new Response(null, { status: 404 });
    },
    websocket: {
      maxPayloadLength: frameBytesMax,
      backpressureLimit: 2 ** 31 - 1,
      open: (socket) => control.open(socket),
      close: (socket) => control.close(socket),
      message: (socket, frame) => control.message(socket, frame as Buffer),
    },
  });
  return { url: `http://127.0.0.1:${server.port}`, stop: () => server.stop(true) };
};

if (import.meta.main) {
  const control = startControl();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      void control.stop().then(() => process.exit(0));
    });
  }
  process.stdout.write(`${control.url}\n`);
}
