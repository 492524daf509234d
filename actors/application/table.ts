/**
 * An actor's table during one step: what the step changed lies over what is stored.
 * @module
 */
import type { ActorName, ActorStore } from "../../src/metadata/contract.ts";
import type { ActorTable, RowCodec, TableRange, TableRow } from "../define.ts";

/** As in the contract of the store. */
const keyBytesMax = 255;
const valueBytesMax = 64 * 1024;
/** Rows that one step may change. */
export const changedRowsMax = 10_000;
/** Bytes of the rows that one step may change: they are one call of the store. */
const changedBytesMax = 16 * 1024 * 1024;
const listLimitMax = 1000;
const listLimitDefault = 100;
/** Rows that are kept in memory between steps. */
const knownRowsMax = 2000;

/** A row in memory: as bytes, as its value, or both; null bytes: there is none. */
interface KnownRow {
  bytes: Uint8Array | null | undefined;
  value: unknown;
}

/** Rows as they are stored, kept from step to step: nobody but the owner changes them. */
export class KnownRows {
  readonly #rows = new Map<string, KnownRow>();

  get(key: string): KnownRow | undefined {
    return this.#rows.get(key);
  }

  set(key: string, row: KnownRow): void {
    // The oldest of them goes.
    if (this.#rows.size >= knownRowsMax && !this.#rows.has(key)) {
      for (const oldest of this.#rows.keys()) {
        this.#rows.delete(oldest);
        break;
      }
    }
    this.#rows.set(key, row);
  }
}

/** What a table stands on. */
export interface TableTools {
  readonly store: ActorStore;
  readonly name: ActorName;
  readonly codec: RowCodec<unknown>;
  readonly known: KnownRows;
  /** @throws Error once the handler has ended */
  readonly check: () => void;
}

/** The table of one step. */
export class StepTable implements ActorTable<unknown> {
  /** What the step changes. */
  readonly #changes = new Map<string, KnownRow>();
  #changedBytes = 0;

  constructor(private readonly tools: TableTools) {}

  /** How many rows it changes. */
  get changedRows(): number {
    return this.#changes.size;
  }

  /** Bytes of what it changes, as far as they are written. */
  get changedBytes(): number {
    return this.#changedBytes;
  }

  /** All that it changes, as it is stored. @throws what the codec throws, RangeError */
  changes(): readonly { readonly key: string; readonly value: Uint8Array | null }[] {
    return [...this.#changes].map(([key, row]) => ({ key, value: this.#bytesOf(row) }));
  }

  /** What it changes is stored now. */
  stored(): void {
    for (const [key, row] of this.#changes) this.tools.known.set(key, row);
  }

  // Taken apart they still belong to their table.
  readonly get = (key: string): unknown => {
    this.tools.check();
    const row = this.#changes.get(key) ?? this.tools.known.get(key);
    if (row !== undefined) return this.#valueOf(row);
    checkKey(key);
    return this.#read(key);
  };

  readonly put = (key: string, value: unknown): void => {
    const { check, codec } = this.tools;
    check();
    const known = this.#changes.get(key);
    if (known === undefined) checkKey(key);
    const row: KnownRow = { bytes: undefined, value };
    if (codec.isImmutable !== true) {
      row.bytes = this.#bytesOf(row);
      row.value = undefined;
    }
    this.#change(key, row);
  };

  readonly delete = (key: string): void => {
    this.tools.check();
    checkKey(key);
    this.#change(key, { bytes: null, value: undefined });
  };

  readonly list = async (range: TableRange = {}): Promise<readonly TableRow<unknown>[]> => {
    const { check, store, name, codec } = this.tools;
    check();
    const { from = "", to, limit = listLimitDefault } = range;
    if (!Number.isInteger(limit) || limit < 1 || limit > listLimitMax) {
      throw new RangeError(`limit must be a whole number from 1 to ${listLimitMax}.`);
    }
    const changed = this.changes().filter(({ key }) => !isBefore(key, from) && (to === undefined || isBefore(key, to)));
    const deleted = changed.filter(({ value }) => value === null).length;
    // Enough that so many are left when what was deleted is taken out.
    const rows = await store.range(name, { from, to, limit: Math.min(limit + deleted, changedRowsMax) });
    const all = new Map<string, Uint8Array | null>(rows.map(({ key, value }) => [key, value]));
    for (const { key, value } of changed) all.set(key, value);
    return [...all]
      .flatMap(([key, bytes]) => (bytes === null ? [] : [{ key, bytes }]))
      .sort((a, b) => compare(a.key, b.key))
      .slice(0, limit)
      .map(({ key, bytes }) => ({ key, value: codec.read(bytes) }));
  };

  async #read(key: string): Promise<unknown> {
    const { store, name, known, check } = this.tools;
    const [bytes = null] = await store.rows(name, [key]);
    // Nobody waits for it any more, and it may be another one by now.
    check();
    const row: KnownRow = { bytes, value: undefined };
    known.set(key, row);
    return this.#valueOf(row);
  }

  #valueOf(row: KnownRow): unknown {
    if (row.value !== undefined) return row.value;
    if (row.bytes === null || row.bytes === undefined) return undefined;
    const { codec } = this.tools;
    const value = codec.read(row.bytes);
    // One that may be changed in place is read anew each time.
    if (codec.isImmutable === true) row.value = value;
    return value;
  }

  #bytesOf(row: KnownRow): Uint8Array | null {
    if (row.bytes !== undefined) return row.bytes;
    const bytes = this.tools.codec.write(row.value);
    if (bytes.length > valueBytesMax) throw new RangeError(`A row is larger than ${valueBytesMax} bytes.`);
    row.bytes = bytes;
    return bytes;
  }

  #change(key: string, row: KnownRow): void {
    const before = this.#changes.get(key);
    if (before === undefined && this.#changes.size >= changedRowsMax) {
      throw new RangeError(`One message changes at most ${changedRowsMax} rows.`);
    }
    const changedBytes = this.#changedBytes + (row.bytes?.length ?? 0) - (before?.bytes?.length ?? 0);
    if (changedBytes > changedBytesMax) {
      throw new RangeError(`One message changes at most ${changedBytesMax} bytes of rows.`);
    }
    this.#changedBytes = changedBytes;
    this.#changes.set(key, row);
  }
}

const checkKey = (key: string): void => {
  if (typeof key !== "string" || key === "" || !key.isWellFormed() || Buffer.byteLength(key, "utf8") > keyBytesMax) {
    throw new RangeError(`The key of a row is a string of 1 to ${keyBytesMax} bytes.`);
  }
};

const compare = (a: string, b: string): number => Buffer.compare(Buffer.from(a, "utf8"), Buffer.from(b, "utf8"));

const isBefore = (a: string, b: string): boolean => compare(a, b) < 0;
