/**
 * The pipeline of publishes: sent without waiting for the answers of those before, a whole tick joined into one frame,
 * and sent again in the same order after a reconnect. Ids make that safe: of a publish that was stored already the
 * server answers the first sequence. And because both runs have the same order, no message can overtake another even
 * when the server still works on frames of the old connection.
 * @module
 */
import { contentOf } from "./body.ts";
import { aborted, errorFrom, isPassing, type MtsError, outcomeUnknown, overloaded, timedOut } from "./errors.ts";
import type { Link } from "./link.ts";
import type { Body, ConnectOptions, DelayedPublishOptions, Receipt, ScheduledReceipt } from "./options.ts";
import { Outstanding } from "./outstanding.ts";
import { onAbort } from "./scope.ts";
import type { Session } from "./session.ts";
import { type Fields, fromWire, isMap, wireFrom } from "./wire.ts";

/** One publish until it is settled. */
interface Entry {
  /** Names of the wire. */
  readonly fields: Fields;
  /** The id is the SDK's own: a duplicate can only be its own repetition. */
  readonly ownId: boolean;
  readonly bytes: number;
  readonly resolve: (receipt: Receipt | ScheduledReceipt) => void;
  readonly reject: (error: MtsError) => void;
  /** Takes back its deadline and its signal. */
  forget?(): void;
  /** It may be stored. */
  sent: boolean;
  done: boolean;
}

/** All publishes of one client. */
export class Publisher {
  /** Never sent, or to be sent again; in order. */
  #unsent: Entry[] = [];
  /** Sent and not answered, frame by frame; in order. */
  readonly #inFlight = new Set<readonly Entry[]>();
  readonly #link: Link;
  /** Those not settled. */
  readonly busy = new Outstanding();
  readonly #options: ConnectOptions;
  readonly #idPrefix: string;
  #ids = 0;
  /** Where publishes are taken now. */
  #session: Session | undefined;
  #inFlightCount = 0;
  #inFlightBytes = 0;
  /** Theirs. */
  #bytes = 0;
  #scheduled = false;

  constructor(link: Link, options: ConnectOptions) {
    this.#link = link;
    this.#options = options;
    this.#idPrefix = `${link.env.uniqueName()}-`;
    link.onSession = (session) => {
      this.#session = session;
      // Runs before the next session can be there: that one begins with a pause.
      void session.ended.then(() => this.#lost());
      this.#flush();
    };
    link.onEnd = (error) => this.#close(error);
  }

  publish(subject: string, body: Body, options: DelayedPublishOptions): Promise<Receipt | ScheduledReceipt> {
    // What the executor throws rejects.
    return new Promise((resolve, reject) => this.#add(subject, body, options, resolve, reject));
  }

  #add(
    subject: string,
    body: Body,
    {
      messageId,
      expectedLast,
      ttlMs,
      delayMs,
      deliverAt,
      signal,
      timeoutMs = this.#link.timeoutMs,
      ...rest
    }: DelayedPublishOptions,
    resolve: Entry["resolve"],
    reject: (error: MtsError) => void,
  ): void {
    if (this.#link.end) throw this.#link.end;
    if (signal?.aborted) throw aborted(signal);
    const { data, headers } = contentOf(body, rest);
    // About what surrounds a body.
    const overheadBytes = 128;
    const bytes = data.length + overheadBytes;
    const { queuedMax = 65_536, queuedBytesMax = 128 * 1024 * 1024, messageIds = true } = this.#options;
    const { count } = this.busy;
    if (count > 0 && (count >= queuedMax || this.#bytes + bytes > queuedBytesMax)) {
      throw overloaded("publishes");
    }
    const ownId = messageId === undefined && messageIds;
    const id = ownId ? this.#idPrefix + (this.#ids++).toString(36) : messageId;
    const entry: Entry = {
      fields: {
        subject,
        data,
        headers,
        message_id: id,
        expected_last_sequence: expectedLast,
        ttl_ms: ttlMs,
        delay_ms: delayMs,
        deliver_at: wireFrom(deliverAt),
      },
      ownId,
      bytes,
      resolve,
      reject,
      sent: false,
      done: false,
    };
    const forget = onAbort(signal, (from) => this.#reject(entry, aborted(from)));
    const cancel = this.#link.env.after(timeoutMs, () =>
      this.#reject(entry, entry.sent ? unknownOutcome(entry) : timedOut()),
    );
    entry.forget = () => {
      cancel();
      forget();
    };
    this.busy.begin();
    this.#bytes += bytes;
    this.#unsent.push(entry);
    this.#flushLater();
  }

  #flushLater(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // Everything of this tick goes along.
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  /** What was not answered goes to the front, in its order. */
  #lost(): void {
    this.#session = undefined;
    const again = [...this.#inFlight].flat();
    this.#inFlight.clear();
    this.#inFlightCount = 0;
    this.#inFlightBytes = 0;
    for (const entry of again) if (entry.sent && !messageIdOf(entry)) this.#reject(entry, unknownOutcome(entry));
    this.#unsent = [...again, ...this.#unsent].filter(({ done }) => !done);
  }

  #flush(): void {
    while (this.#session?.open) {
      const run = this.#takeRun();
      if (run.length === 0) return;
      this.#send(this.#session, run);
    }
  }

  /** The next messages that go into one frame; none when the window is full or nothing is there. */
  #takeRun(): readonly Entry[] {
    const joinCountMax = 256;
    // The server copies the bodies of larger frames.
    const joinBytesMax = 240 * 1024;
    const { inFlightMax = 4096, inFlightBytesMax = 16 * 1024 * 1024 } = this.#options;
    const run: Entry[] = [];
    let joined = 0;
    let taken = 0;
    for (const entry of this.#unsent) {
      const { bytes, done } = entry;
      if (!done) {
        const isFull = run.length > 0 && (run.length >= joinCountMax || joined + bytes > joinBytesMax);
        const inFlight = this.#inFlightCount;
        if (isFull || (inFlight > 0 && (inFlight >= inFlightMax || this.#inFlightBytes + bytes > inFlightBytesMax)))
          break;
        run.push(entry);
        joined += bytes;
        this.#inFlightCount++;
        this.#inFlightBytes += bytes;
      }
      taken++;
    }
    this.#unsent.splice(0, taken);
    return run;
  }

  #send(session: Session, run: readonly Entry[]): void {
    const messages = run.map(({ fields }) => fields);
    const frame = session.encode(
      run.length === 1 ? { op: "publish", ...messages[0] } : { op: "publish_batch", messages },
    );
    this.#inFlight.add(run);
    if (frame.length > session.welcome.maxFrameBytes) {
      // The server would close the connection, and again after every repetition.
      this.#answered(run, { op: "error", code: "body_too_large", detail: "It does not fit into a frame." });
      return;
    }
    for (const entry of run) entry.sent = true;
    // When the connection ends before, `#lost` sees to all of them together, in their order.
    session.transmit(frame, { reply: (answer) => this.#answered(run, answer) });
  }

  #answered(run: readonly Entry[], answer: Fields): void {
    const results = answer["results"] as readonly Fields[] | undefined;
    for (const [index, entry] of run.entries()) {
      this.#inFlightCount--;
      this.#inFlightBytes -= entry.bytes;
      this.#settle(entry, results?.[index] ?? answer);
    }
    // What was refused keeps its place, and no further ones are sent: they would be refused too.
    if (run.every(({ done }) => done)) this.#inFlight.delete(run);
    else this.#session = undefined;
    this.#flush();
  }

  /** Not when the server refuses everything on this connection: then it waits for the next one. */
  #settle(entry: Entry, result: Fields): void {
    const failure = result["op"] === "error" ? result : result["error"];
    if (isMap(failure)) {
      entry.sent = !isPassing(failure["code"]);
      if (entry.sent) this.#reject(entry, errorFrom({ ...failure, message_id: messageIdOf(entry) }));
      return;
    }
    const { subject, sequence, timestamp, duplicate } = result as unknown as Receipt;
    const receipt = sequence ? { subject, sequence, timestamp } : (fromWire(result) as ScheduledReceipt);
    if (this.#finish(entry)) entry.resolve({ ...receipt, duplicate: duplicate && !entry.ownId });
  }

  #reject(entry: Entry, error: MtsError): void {
    if (this.#finish(entry)) entry.reject(error);
  }

  /** False when it is settled already. */
  #finish(entry: Entry): boolean {
    if (entry.done) return false;
    entry.done = true;
    entry.forget?.();
    this.#bytes -= entry.bytes;
    // Without a connection nobody else takes settled ones out of the line; so many may stay.
    const settledMax = 1024;
    if (this.#unsent.length > 2 * this.busy.count + settledMax) this.#unsent = this.#unsent.filter(({ done }) => !done);
    this.busy.end();
    return true;
  }

  #close(error: MtsError): void {
    for (const entry of [...[...this.#inFlight].flat(), ...this.#unsent]) {
      this.#reject(entry, entry.sent ? unknownOutcome(entry, error) : error);
    }
  }
}

const messageIdOf = ({ fields }: Entry): unknown => fields["message_id"];

/** `fields.message_id`, where there is one, makes a repetition safe. */
const unknownOutcome = (entry: Entry, cause?: MtsError): MtsError =>
  outcomeUnknown({ message_id: messageIdOf(entry) }, cause);
