/**
 * The pipeline of publishes: sent without waiting for the answers of those before, a whole tick joined into one frame,
 * and sent again in the same order after a reconnect. Ids make that safe: of a publish that was stored already the
 * server answers the first sequence. And because both runs have the same order, no message can overtake another even
 * when the server still works on frames of the old connection.
 * @module
 */
import { contentOf } from "./body.ts";
import { aborted, errorFrom, MtsError } from "./errors.ts";
import { Fifo } from "./fifo.ts";
import type { Link } from "./link.ts";
import type { MsgpackWriter } from "./msgpack-writer.ts";
import type { Body, ConnectOptions, PublishOptions, Receipt } from "./options.ts";
import { timedOut } from "./scope.ts";
import type { Session } from "./session.ts";
import { assertWellFormed, type Frame, isFrame, listField, receiptFrom } from "./wire.ts";

const MiB = 1024 * 1024;
const inFlightDefault = 4096;
const inFlightBytesDefault = 16 * MiB;
const queuedDefault = 65_536;
const queuedBytesDefault = 128 * MiB;
/** Messages joined into one frame. */
const joinCountMax = 256;
/** Bytes joined into one frame: the server copies the bodies of larger ones. */
const joinBytesMax = 240 * 1024;
/** About what surrounds a body. */
const overheadBytes = 128;
/** Settled publishes that may stay in the line. */
const compactMin = 1024;

/** One publish until it is settled. */
interface Entry {
  readonly subject: string;
  readonly data: string | Uint8Array;
  readonly headers: Readonly<Record<string, string>> | undefined;
  readonly messageId: string | undefined;
  /** The id is the SDK's own: a duplicate can only be its own repetition. */
  readonly ownId: boolean;
  readonly expectedLast: number | undefined;
  readonly bytes: number;
  readonly deadlineMs: number;
  readonly timeoutMs: number;
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (error: MtsError) => void;
  /** It may be stored. */
  sent: boolean;
  settled: boolean;
  forget: (() => void) | undefined;
}

/** All publishes of one client. */
export class Publisher {
  /** Never sent, or to be sent again; in order. */
  readonly #unsent = new Fifo<Entry>();
  /** Sent and not answered, by request; in order. */
  readonly #inFlight = new Map<number, readonly Entry[]>();
  readonly #deadlined = new Set<Entry>();
  readonly #idPrefix: string;
  #ids = 0;
  #session: Session | undefined;
  #inFlightCount = 0;
  #inFlightBytes = 0;
  #count = 0;
  #bytes = 0;
  #scheduled = false;
  #sweepAtMs = Number.POSITIVE_INFINITY;
  #cancelSweep: () => void = () => undefined;
  #idle: (() => void)[] = [];
  #end: MtsError | undefined;

  constructor(
    private readonly link: Link,
    private readonly options: ConnectOptions,
    private readonly timeoutMs: number,
  ) {
    this.#idPrefix = `${link.environment.uniqueName()}-`;
    link.onSession.add((session) => this.#start(session));
  }

  /** Publishes not settled. */
  get size(): number {
    return this.#count;
  }

  publish(subject: string, body: Body, options: PublishOptions = {}): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      // Thrown errors reject: an executor's do.
      this.#add(this.#entry(subject, body, options, resolve, reject), options.signal);
    });
  }

  /** Resolves when nothing is waiting. */
  idle(): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Fails what waits and everything that comes. */
  close(error: MtsError): void {
    this.#end = error;
    const waiting = [...[...this.#inFlight.values()].flat(), ...this.#unsent.drain()];
    this.#inFlight.clear();
    for (const entry of waiting) this.#reject(entry, entry.sent ? outcomeUnknown(entry, error) : error);
    this.#cancelSweep();
  }

  #entry(
    subject: string,
    body: Body,
    options: PublishOptions,
    resolve: (receipt: Receipt) => void,
    reject: (error: MtsError) => void,
  ): Entry {
    if (this.#end !== undefined) throw this.#end;
    if (options.signal?.aborted === true) throw aborted(options.signal.reason);
    assertWellFormed(subject, "subject");
    assertWellFormed(options.messageId ?? "", "message_id");
    const { data, headers } = contentOf(body, options);
    const bytes = data.length + overheadBytes;
    const { queuedMax = queuedDefault, queuedBytesMax = queuedBytesDefault, messageIds = true } = this.options;
    if (this.#count > 0 && (this.#count >= queuedMax || this.#bytes + bytes > queuedBytesMax)) {
      throw new MtsError("overloaded", "Too many publishes wait for their answers; wait for some first.", true);
    }
    const ownId = options.messageId === undefined && messageIds;
    const timeoutMs = options.timeoutMs ?? this.timeoutMs;
    return {
      subject,
      data,
      headers,
      messageId: ownId ? this.#idPrefix + (this.#ids++).toString(36) : options.messageId,
      ownId,
      expectedLast: options.expectedLast,
      bytes,
      deadlineMs: this.link.environment.nowMs() + timeoutMs,
      timeoutMs,
      resolve,
      reject,
      sent: false,
      settled: false,
      forget: undefined,
    };
  }

  #add(entry: Entry, signal: AbortSignal | undefined): void {
    this.#count++;
    this.#bytes += entry.bytes;
    this.#unsent.push(entry);
    if (signal !== undefined) {
      const abort = (): void => this.#reject(entry, aborted(signal.reason));
      signal.addEventListener("abort", abort);
      entry.forget = () => signal.removeEventListener("abort", abort);
    }
    if (entry.deadlineMs !== Number.POSITIVE_INFINITY) {
      this.#deadlined.add(entry);
      this.#sweepBy(entry.deadlineMs);
    }
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  #start(session: Session): void {
    this.#session = session;
    // Runs before the next session can be there: that one begins with a pause.
    void session.ended.then(() => this.#lost());
    this.#flush();
  }

  /** What was not answered goes to the front, in its order. */
  #lost(): void {
    this.#session = undefined;
    const again = [...this.#inFlight.values()].flat();
    this.#inFlight.clear();
    this.#inFlightCount = 0;
    this.#inFlightBytes = 0;
    for (const entry of again) {
      if (entry.sent && entry.messageId === undefined) this.#reject(entry, outcomeUnknown(entry));
    }
    this.#unsent.unshift(again.filter(({ settled }) => !settled));
  }

  #flush(): void {
    const session = this.#session;
    while (session?.open === true) {
      const run = this.#takeRun();
      if (run.length === 0) return;
      this.#send(session, run);
    }
  }

  /** The next messages that go into one frame; none when the window is full or nothing is there. */
  #takeRun(): readonly Entry[] {
    const { inFlightMax = inFlightDefault, inFlightBytesMax = inFlightBytesDefault } = this.options;
    const run: Entry[] = [];
    let bytes = 0;
    for (let entry = this.#unsent.peek(); entry !== undefined; entry = this.#unsent.peek()) {
      if (entry.settled) {
        this.#unsent.shift();
        continue;
      }
      if (run.length >= joinCountMax || (run.length > 0 && bytes + entry.bytes > joinBytesMax)) break;
      if (this.#inFlightCount >= inFlightMax) break;
      if (this.#inFlightCount > 0 && this.#inFlightBytes + entry.bytes > inFlightBytesMax) break;
      this.#unsent.shift();
      run.push(entry);
      bytes += entry.bytes;
      this.#inFlightCount++;
      this.#inFlightBytes += entry.bytes;
    }
    return run;
  }

  #send(session: Session, run: readonly Entry[]): void {
    const id = session.expect({
      reply: (frame) => this.#answered(id, run, frame),
      // `#lost` sees to all of them together, in their order.
      lost: () => undefined,
    });
    this.#inFlight.set(id, run);
    const writer = session.begin();
    const [first] = run;
    if (first !== undefined && run.length === 1) writePublish(writer, id, first);
    else writeBatch(writer, id, run);
    if (writer.length > session.welcome.frameBytesMax) {
      // The server would close the connection, and again after every repetition.
      this.#answered(id, run, tooLarge(session));
      return;
    }
    for (const entry of run) entry.sent = true;
    session.transmit();
  }

  #answered(id: number, run: readonly Entry[], frame: Frame): void {
    this.#inFlight.delete(id);
    for (const { bytes } of run) {
      this.#inFlightCount--;
      this.#inFlightBytes -= bytes;
    }
    const refused: Entry[] = [];
    const results = frame["op"] === "published_batch" ? listField(frame, "results") : [frame];
    for (const [index, entry] of run.entries()) {
      const result = results[Math.min(index, results.length - 1)];
      if (!this.#settle(entry, isFrame(result) ? result : {})) refused.push(entry);
    }
    if (refused.length > 0) this.#hold(id, refused);
    this.#flush();
  }

  /** False when the server did not take it because it stops: then it waits for the next connection. */
  #settle(entry: Entry, result: Frame): boolean {
    const failure = result["op"] === "error" ? result : result["error"];
    if (!isFrame(failure)) {
      this.#resolve(entry, receiptFrom(result));
      return true;
    }
    const { op: _op, id: _id, ...fields } = failure;
    if (fields["code"] === "shutting_down") return false;
    this.#reject(entry, errorFrom(entry.messageId === undefined ? fields : { ...fields, message_id: entry.messageId }));
    return true;
  }

  /** Keeps the place of refused publishes, and sends no further ones: they would be refused too. */
  #hold(id: number, refused: readonly Entry[]): void {
    for (const entry of refused) entry.sent = false;
    this.#session = undefined;
    this.#inFlight.set(id, refused);
  }

  #resolve(entry: Entry, receipt: Receipt): void {
    if (!this.#finish(entry)) return;
    entry.resolve(entry.ownId && receipt.duplicate ? { ...receipt, duplicate: false } : receipt);
  }

  #reject(entry: Entry, error: MtsError): void {
    if (this.#finish(entry)) entry.reject(error);
  }

  #finish(entry: Entry): boolean {
    if (entry.settled) return false;
    entry.settled = true;
    entry.forget?.();
    this.#deadlined.delete(entry);
    this.#count--;
    this.#bytes -= entry.bytes;
    // Without a connection nobody else takes settled ones out of the line.
    if (this.#unsent.size > 2 * this.#count + compactMin) {
      this.#unsent.unshift(this.#unsent.drain().filter(({ settled }) => !settled));
    }
    if (this.#count === 0) {
      for (const resolve of this.#idle.splice(0)) resolve();
    }
    return true;
  }

  /** One timer for all: publishes come too fast for one each. */
  #sweepBy(deadlineMs: number): void {
    if (deadlineMs >= this.#sweepAtMs) return;
    this.#cancelSweep();
    this.#sweepAtMs = deadlineMs;
    const { environment } = this.link;
    this.#cancelSweep = environment.after(Math.max(0, deadlineMs - environment.nowMs()), () => this.#sweep(), true);
  }

  #sweep(): void {
    this.#sweepAtMs = Number.POSITIVE_INFINITY;
    const nowMs = this.link.environment.nowMs();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const entry of this.#deadlined) {
      if (entry.deadlineMs > nowMs) nextMs = Math.min(nextMs, entry.deadlineMs);
      else this.#reject(entry, entry.sent ? outcomeUnknown(entry) : timedOut(entry.timeoutMs));
    }
    this.#sweepBy(nextMs);
  }
}

/** It was sent and may be stored. `fields.message_id`, where there is one, makes a repetition safe. */
const outcomeUnknown = ({ messageId }: Entry, cause?: MtsError): MtsError =>
  new MtsError(
    "outcome_unknown",
    "There was no answer to the publish; it may be stored.",
    true,
    messageId === undefined ? {} : { message_id: messageId },
    cause,
  );

const tooLarge = (session: Session): Frame => ({
  op: "error",
  code: "body_too_large",
  detail: `The message does not fit into a frame of ${session.welcome.frameBytesMax} bytes.`,
  retryable: false,
});

const writePublish = (writer: MsgpackWriter, id: number, entry: Entry): void => {
  writer.mapHead(2 + fieldCount(entry));
  writer.string("op");
  writer.string("publish");
  writer.string("id");
  writer.number(id);
  writeFields(writer, entry);
};

const writeBatch = (writer: MsgpackWriter, id: number, run: readonly Entry[]): void => {
  writer.mapHead(3);
  writer.string("op");
  writer.string("publish_batch");
  writer.string("id");
  writer.number(id);
  writer.string("messages");
  writer.arrayHead(run.length);
  for (const entry of run) {
    writer.mapHead(fieldCount(entry));
    writeFields(writer, entry);
  }
};

const fieldCount = ({ headers, messageId, expectedLast }: Entry): number =>
  2 + Number(headers !== undefined) + Number(messageId !== undefined) + Number(expectedLast !== undefined);

const writeFields = (writer: MsgpackWriter, entry: Entry): void => {
  writer.string("subject");
  writer.string(entry.subject);
  writer.string("data");
  writer.value(entry.data);
  if (entry.headers !== undefined) {
    writer.string("headers");
    writer.value(entry.headers);
  }
  if (entry.messageId !== undefined) {
    writer.string("message_id");
    writer.string(entry.messageId);
  }
  if (entry.expectedLast !== undefined) {
    writer.string("expected_last_sequence");
    writer.number(entry.expectedLast);
  }
};
