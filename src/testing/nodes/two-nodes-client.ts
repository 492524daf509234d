/**
 * One client in front, two nodes behind: it publishes, acknowledges and nacks on one and reads and fetches on the
 * other. What holds for one server must hold for the pair.
 * @module
 */
import type {
  Acknowledged,
  ClientError,
  Draft,
  FetchOptions,
  Page,
  ReadOptions,
  Receipt,
  Scheduled,
  Settled,
  StreamClient,
} from "../client.ts";
import type { Live } from "../live.ts";

/** See the module. */
export class TwoNodesClient implements StreamClient {
  readonly #writer: StreamClient;
  readonly #reader: StreamClient;

  constructor(writer: StreamClient, reader: StreamClient) {
    this.#writer = writer;
    this.#reader = reader;
  }

  publish(draft: Draft): Promise<Receipt> {
    return this.#writer.publish(draft);
  }

  schedule(draft: Draft): Promise<Scheduled> {
    return this.#writer.schedule(draft);
  }

  publishWaiting(draft: Draft, wait: string, waitMs?: number): Promise<Acknowledged> {
    return this.#writer.publishWaiting(draft, wait, waitMs);
  }

  submitBatch(drafts: readonly Draft[]): Promise<readonly (Receipt | Scheduled | ClientError)[]> {
    return this.#writer.submitBatch(drafts);
  }

  publishBatch(drafts: readonly Draft[]): Promise<readonly (Receipt | ClientError)[]> {
    return this.#writer.publishBatch(drafts);
  }

  read(subject: string, options?: ReadOptions): Promise<Page> {
    return this.#reader.read(subject, options);
  }

  fetch(subject: string, consumer: string, options?: FetchOptions): Promise<Page> {
    return this.#reader.fetch(subject, consumer, options);
  }

  ack(subject: string, consumer: string, settled: Settled): Promise<{ ackedThrough: number; moved: boolean }> {
    return this.#writer.ack(subject, consumer, settled);
  }

  nack(...settled: Parameters<StreamClient["nack"]>): Promise<number> {
    return this.#writer.nack(...settled);
  }

  follow(subject: string, options?: Pick<ReadOptions, "from" | "deliver">): Promise<Live> {
    return this.#reader.follow(subject, options);
  }

  async close(): Promise<void> {
    await Promise.all([this.#writer.close(), this.#reader.close()]);
  }
}
