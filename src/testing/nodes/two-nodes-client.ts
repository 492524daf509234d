/**
 * One client in front, two nodes behind: it publishes, acknowledges and nacks on one and reads and fetches on the
 * other. What holds for one server must hold for the pair.
 * @module
 */
import type { ClientError, Draft, FetchOptions, Page, ReadOptions, Receipt, Settled, StreamClient } from "../client.ts";

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

  nack(subject: string, consumer: string, sequences: readonly number[], delayMs?: number): Promise<number> {
    return this.#writer.nack(subject, consumer, sequences, delayMs);
  }

  async close(): Promise<void> {
    await Promise.all([this.#writer.close(), this.#reader.close()]);
  }
}
