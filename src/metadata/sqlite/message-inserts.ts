/**
 * Storing messages: many rows to a statement where there are many.
 * @module
 */
import type { Statement } from "bun:sqlite";
import { assert } from "../../core/errors.ts";
import type { Headers, Sequence } from "../../core/message.ts";
import type { CommitEntry } from "../contract.ts";
import type { Connection } from "./connection.ts";

/** A message on its way into the table. */
export interface MessageInsert {
  readonly entry: CommitEntry;
  /** Its subject, which has a row by now, and the time of the commit. */
  readonly lane: { readonly id: number | undefined; readonly timestampMs: number };
  readonly sequence: Sequence;
  readonly objectId: number;
  /** Body bytes of the subject, this message included. */
  readonly bodyBytesThrough: number;
}

/** Rows of one INSERT where there are so many: against a statement a row it takes a fifth to a half less time. */
const groupRows = 16;

const commonColumns = [
  ...["subject_id", "sequence", "timestamp", "headers", "object_id"],
  ...["body_offset", "body_length", "sha256", "body_bytes_through"],
];
/** Each parameter costs time, and most messages need none of these. */
const rareColumns = ["stored_length", "expires_at"];

type Params = (number | string | null | Uint8Array)[];

/** The headers as text; parsing makes own properties of every name, `__proto__` too. */
const headersText = (headers: Headers): string | null => {
  // Most messages have none, or few: this is cheaper than Object.keys.
  for (const _name in headers) return JSON.stringify(headers);
  return null;
};

const isRare = ({ entry }: MessageInsert): boolean =>
  entry.ttlMs !== undefined || entry.body.storedLength !== undefined;

/** INSERTs of one set of columns: a row, and a group of rows. */
class Inserts {
  readonly #row: Statement<unknown, Params>;
  readonly #group: Statement<unknown, Params>;

  constructor(
    connection: Connection,
    columns: readonly string[],
    private readonly hasRare: boolean,
  ) {
    const row = `(${columns.map(() => "?").join(", ")})`;
    const insert = `INSERT INTO messages (${columns.join(", ")}) VALUES`;
    this.#row = connection.prepare(`${insert} ${row}`);
    this.#group = connection.prepare(`${insert} ${Array.from({ length: groupRows }, () => row).join(", ")}`);
  }

  run(messages: readonly MessageInsert[]): void {
    let index = 0;
    for (; index + groupRows <= messages.length; index += groupRows) {
      this.#group.run(...this.#params(messages, index, index + groupRows));
    }
    for (; index < messages.length; index++) this.#row.run(...this.#params(messages, index, index + 1));
  }

  #params(messages: readonly MessageInsert[], start: number, end: number): Params {
    const params: Params = [];
    for (let index = start; index < end; index++) {
      const message = messages[index];
      assert(message !== undefined, "The range is within the messages.");
      const { entry, lane, sequence, objectId, bodyBytesThrough } = message;
      const { headers, body, ttlMs } = entry;
      assert(lane.id !== undefined, "A subject with messages has a row.");
      params.push(lane.id, sequence, lane.timestampMs, headersText(headers), objectId);
      params.push(body.offset, body.length, body.sha256, bodyBytesThrough);
      if (!this.hasRare) continue;
      params.push(body.storedLength ?? null, ttlMs === undefined ? null : lane.timestampMs + ttlMs);
    }
    return params;
  }
}

/** The statements that store messages. */
export class MessageInserts {
  readonly #common: Inserts;
  readonly #rare: Inserts;

  constructor(connection: Connection) {
    this.#common = new Inserts(connection, commonColumns, false);
    this.#rare = new Inserts(connection, [...commonColumns, ...rareColumns], true);
  }

  run(messages: readonly MessageInsert[]): void {
    const inserts = messages.some(isRare) ? this.#rare : this.#common;
    inserts.run(messages);
  }
}
