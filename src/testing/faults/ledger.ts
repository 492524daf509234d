/**
 * The books of a publisher that trusts nobody: what was sent, what became of it as far as was answered, and the proof
 * that the server kept every promise it made, also after it was killed.
 * @module
 */
import { ClientError, type Receipt, type Received, type StreamClient } from "../client.ts";
import { HttpClient } from "../http-client.ts";

/**
 * `unknown` until answered, and for ever when the connection died first. `refused` are answers that say that nothing
 * was stored.
 */
export type Fate = "unknown" | "acknowledged" | "refused";

/** One message that was sent. */
export interface Entry {
  readonly subject: string;
  readonly messageId: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** Sender whose messages to one subject must stay in the order they were sent. */
  readonly lane: string;
  fate: Fate;
  /** Set when acknowledged. */
  receipt: Receipt | undefined;
  /** The error it was answered with, when it was. */
  error: ClientError | undefined;
  /** Stored by a later retry, hence behind what was sent after it. */
  late: boolean;
}

/** Answers after which nobody knows whether it was stored. */
const unsettledCodes: ReadonlySet<string> = new Set(["outcome_unknown", "internal"]);
/** So many violations are shown; one bug breaks many messages. */
const shownMax = 8;
const pageMessagesMax = 10_000;
/** Retries under way at once. */
const retriesMax = 64;

/** The books. */
export class Ledger {
  readonly entries: Entry[] = [];
  readonly #byBody = new Map<string, Entry>();

  /** Enters a message that is about to be sent. Its body must be unlike every other. */
  enter(lane: string, subject: string, body: Uint8Array, headers: Readonly<Record<string, string>> = {}): Entry {
    const messageId = `${lane}/${this.entries.length}`;
    const entry: Entry = {
      subject,
      messageId,
      headers: { ...headers, "message-of": messageId },
      body,
      lane,
      fate: "unknown",
      receipt: undefined,
      error: undefined,
      late: false,
    };
    const key = keyOf(body);
    if (this.#byBody.has(key)) throw new Error("a test must give every message a body of its own");
    this.#byBody.set(key, entry);
    this.entries.push(entry);
    return entry;
  }

  /** Publishes an entry and books the answer. Sent before the first `await`, so calls keep their order. */
  async publish(client: StreamClient, entry: Entry): Promise<Fate> {
    try {
      const { subject, body, headers, messageId } = entry;
      this.#acknowledge(entry, await client.publish({ subject, body, headers, messageId }));
    } catch (error) {
      if (error instanceof ClientError) {
        entry.error = error;
        entry.fate = unsettledCodes.has(error.code) ? "unknown" : "refused";
      }
    }
    return entry.fate;
  }

  /** How many entries have this fate. */
  count(fate: Fate): number {
    return this.entries.filter((entry) => entry.fate === fate).length;
  }

  /**
   * Proves against a running server: what was acknowledged is there unchanged, nothing is there that was refused or
   * never sent, nothing twice, sequences are dense, every lane's order is kept; then settles what is unknown by
   * publishing it again under its id, and proves that everything is there exactly once.
   */
  async prove(url: string): Promise<void> {
    const client = new HttpClient(url, "msgpack");
    const stored = await this.#check(client);
    const unknown = this.entries.filter((entry) => entry.fate === "unknown");
    if (unknown.length === 0) return;
    for (let start = 0; start < unknown.length; start += retriesMax) {
      await Promise.all(unknown.slice(start, start + retriesMax).map((entry) => this.#settle(client, entry, stored)));
    }
    await this.#check(client);
  }

  #acknowledge(entry: Entry, receipt: Receipt): void {
    entry.receipt = receipt;
    entry.fate = "acknowledged";
    entry.error = undefined;
  }

  async #settle(client: HttpClient, entry: Entry, stored: ReadonlyMap<Entry, Received>): Promise<void> {
    const { subject, body, headers, messageId } = entry;
    const receipt = await client.publish({ subject, body, headers, messageId });
    const before = stored.get(entry);
    if (receipt.duplicate !== (before !== undefined)) {
      throw new Error(
        `${messageId}: duplicate is ${receipt.duplicate}, but it was${before ? "" : " not"} stored before`,
      );
    }
    if (before !== undefined && before.sequence !== receipt.sequence) {
      throw new Error(`${messageId}: stored as ${before.sequence}, answered as ${receipt.sequence}`);
    }
    entry.late = before === undefined;
    this.#acknowledge(entry, receipt);
  }

  /** Reads all subjects and checks every promise; answers which entries are stored. */
  async #check(client: HttpClient): Promise<ReadonlyMap<Entry, Received>> {
    const stored = new Map<Entry, Received>();
    const problems: string[] = [];
    for (const subject of new Set(this.entries.map((entry) => entry.subject))) {
      this.#checkSubject(await readAll(client, subject), stored, problems);
    }
    for (const entry of this.entries) problems.push(...problemsOf(entry, stored.get(entry)));
    problems.push(...this.#orderProblems(stored));
    if (problems.length > 0) {
      throw new Error(`${problems.length} broken promises:\n${problems.slice(0, shownMax).join("\n")}`);
    }
    return stored;
  }

  #checkSubject(messages: readonly Received[], stored: Map<Entry, Received>, problems: string[]): void {
    let before: Received | undefined;
    for (const message of messages) {
      const place = `${message.subject} ${message.sequence}`;
      if (message.sequence !== (before?.sequence ?? 0) + 1) {
        problems.push(`${place}: comes after ${before?.sequence ?? "nothing"}`);
      }
      if (before !== undefined && message.timestampMs < before.timestampMs) problems.push(`${place}: time went back`);
      before = message;
      const entry = this.#byBody.get(keyOf(message.body));
      if (entry?.subject !== message.subject) problems.push(`${place}: nobody sent this body to this subject`);
      else if (stored.has(entry)) problems.push(`${place}: ${entry.messageId} is there twice`);
      else stored.set(entry, message);
    }
  }

  /** A lane's messages are committed in the order sent: those that were not refused are stored as a prefix, in order. */
  #orderProblems(stored: ReadonlyMap<Entry, Received>): string[] {
    const problems: string[] = [];
    const lanes = Map.groupBy(
      this.entries.filter((entry) => entry.fate !== "refused" && !entry.late),
      (entry) => `${entry.lane} to ${entry.subject}`,
    );
    for (const [lane, sent] of lanes) {
      let last = 0;
      let missing: Entry | undefined;
      for (const entry of sent) {
        const sequence = stored.get(entry)?.sequence;
        if (sequence === undefined) {
          missing ??= entry;
          continue;
        }
        if (missing !== undefined) problems.push(`${lane}: ${entry.messageId} is there, ${missing.messageId} is not`);
        if (sequence <= last) problems.push(`${lane}: ${entry.messageId} is ${sequence}, after ${last}`);
        last = sequence;
      }
    }
    return problems;
  }
}

const keyOf = (body: Uint8Array): string => `${body.length}:${Bun.hash.wyhash(body).toString(36)}`;

const problemsOf = (entry: Entry, message: Received | undefined): string[] => {
  const { messageId, receipt } = entry;
  if (message === undefined) return entry.fate === "acknowledged" ? [`${messageId}: acknowledged, but not there`] : [];
  const problems: string[] = [];
  if (entry.fate === "refused") problems.push(`${messageId}: refused with ${String(entry.error?.code)}, but there`);
  if (!Bun.deepEquals(message.headers, entry.headers)) problems.push(`${messageId}: other headers`);
  if (Buffer.compare(message.body, entry.body) !== 0) problems.push(`${messageId}: other bytes`);
  if (receipt !== undefined && receipt.sequence !== message.sequence) {
    problems.push(`${messageId}: acknowledged as ${receipt.sequence}, is ${message.sequence}`);
  }
  if (receipt !== undefined && receipt.timestampMs !== message.timestampMs) problems.push(`${messageId}: other time`);
  return problems;
};

/** Every message of a subject, page by page. */
export const readAll = async (client: HttpClient, subject: string): Promise<readonly Received[]> => {
  const messages: Received[] = [];
  for (let from = 1; ; ) {
    const page = await client.read(subject, { from, limit: pageMessagesMax });
    messages.push(...page.messages);
    if (page.nextSequence > page.lastSequence) return messages;
    if (page.nextSequence <= from) throw new Error(`${subject}: the page from ${from} leads nowhere`);
    from = page.nextSequence;
  }
};
