/**
 * A subscription that is watched: each subject's messages must come in order, without a gap and without a repeat, and
 * be what was sent. All watchers of one subject then have seen one order.
 * @module
 */
import type { Received } from "../client.ts";
import type { Entry, Ledger } from "../faults/ledger.ts";
import { type SubscribeOptions, WsClient, type WsSubscription } from "../ws-client.ts";
import type { ClusterNode } from "./cluster.ts";

/** So many problems are shown; one bug breaks many messages. */
const shownMax = 8;

/** See the module. */
export class Watch implements AsyncDisposable {
  /** What it watches, for people. */
  readonly name: string;
  readonly client: WsClient;
  readonly subscription: WsSubscription;
  /** Last sequence by subject. */
  readonly #last = new Map<string, number>();
  readonly #problems: string[] = [];
  #looked = 0;

  readonly #filter: string;

  private constructor(name: string, filter: string, client: WsClient, subscription: WsSubscription) {
    this.name = name;
    this.#filter = filter;
    this.client = client;
    this.subscription = subscription;
  }

  /** Subscribes on a node of its own connection. */
  static async open(node: ClusterNode, filter: string, options: SubscribeOptions = {}): Promise<Watch> {
    const client = await WsClient.connect(node.wsUrl);
    const subscription = await client.subscribe(filter, { credit: -1, ...options });
    return new Watch(`${filter} on node ${node.name}`, filter, client, subscription);
  }

  /** Resolves when every subject that it watches has come as far as this; rejects when the connection ends before. */
  async reached(heads: ReadonlyMap<string, number>): Promise<void> {
    const watched = [...heads].filter(([subject]) => matches(this.#filter, subject));
    await this.subscription.conditions.until(() => {
      this.#look();
      return watched.every(([subject, sequence]) => (this.#last.get(subject) ?? 0) >= sequence);
    });
  }

  /** Last sequences so far, by subject. */
  get last(): ReadonlyMap<string, number> {
    this.#look();
    return this.#last;
  }

  /**
   * Proves that all that came is what the ledger has under that sequence, once each, in order.
   * @throws Error that names what is wrong
   */
  prove(ledger: Ledger): void {
    this.#look();
    const entries = new Map<string, Entry>();
    for (const entry of ledger.entries) {
      if (entry.receipt !== undefined) entries.set(keyOf(entry.subject, entry.receipt.sequence), entry);
    }
    const problems = [...this.#problems];
    for (const message of this.subscription.messages) {
      const entry = entries.get(keyOf(message.subject, message.sequence));
      if (entry === undefined) problems.push(`${place(message)}: nothing was acknowledged under this sequence`);
      else if (Buffer.compare(entry.body, message.body) !== 0) problems.push(`${place(message)}: other bytes`);
    }
    for (const error of this.subscription.errors) problems.push(`an error was pushed: ${error.message}`);
    if (problems.length === 0) return;
    throw new Error(`${this.name}: ${problems.length} problems:\n${problems.slice(0, shownMax).join("\n")}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
  }

  #look(): void {
    const { messages } = this.subscription;
    for (; this.#looked < messages.length; this.#looked++) {
      const message = messages[this.#looked];
      if (message === undefined) continue;
      const last = this.#last.get(message.subject);
      if (last !== undefined && message.sequence !== last + 1) {
        this.#problems.push(`${place(message)}: came after ${last}`);
      }
      this.#last.set(message.subject, message.sequence);
    }
  }
}

const matches = (filter: string, subject: string): boolean => {
  const [wanted, tokens] = [filter.split("."), subject.split(".")];
  if (wanted.at(-1) === ">") return tokens.length >= wanted.length && matchesAll(wanted.slice(0, -1), tokens);
  return tokens.length === wanted.length && matchesAll(wanted, tokens);
};

const matchesAll = (wanted: readonly string[], tokens: readonly string[]): boolean =>
  wanted.every((token, index) => token === "*" || token === tokens[index]);

const keyOf = (subject: string, sequence: number): string => `${subject} ${sequence}`;
const place = ({ subject, sequence }: Received): string => keyOf(subject, sequence);
