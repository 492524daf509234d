/**
 * Metadata in Tarantool, shared by any number of nodes. The rules of the stream run inside the database (`lua`), here
 * is the way to them: one call a method, each with a deadline, each write exactly once across lost connections.
 * @module
 */
import type { CallObserver } from "../../core/calls.ts";
import { Calls } from "./calls.ts";
import { Link } from "./link.ts";
import { type Measure, Measurer } from "./measure.ts";
import { greet, TarantoolMetadata } from "./store.ts";

export type { Measure, Measured } from "./measure.ts";
export type { TarantoolMetadata } from "./store.ts";

/** What the store is opened with. */
export interface TarantoolMetadataOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** How long a message id is remembered. */
  readonly dedupeWindowMs: number;
  /** Longest call in milliseconds, repetitions over lost connections included; 8000 when absent. */
  readonly callMsMax?: number | undefined;
  /** Longest attempt to connect in milliseconds; 2000 when absent. */
  readonly connectMsMax?: number | undefined;
  /** Length and digest of an object that an old client published by name only; such messages stay unreadable without. */
  readonly measure?: Measure | undefined;
  /** Names this node's writes; `crypto.randomUUID` when absent. Must never answer the same twice. */
  readonly randomId?: (() => string) | undefined;
  /** From 0 up to 1; `Math.random` when absent. */
  readonly random?: (() => number) | undefined;
  /** Told of each call of a function, repetitions included, by its name. */
  readonly observe?: CallObserver | undefined;
}

const callMsMaxDefault = 8000;
const connectMsMaxDefault = 2000;

/**
 * Opens the store of an instance that runs `lua/init.lua`; waits for it for as long as a call may take.
 * @throws StreamError `unavailable`: nobody there, a wrong password, functions of another version
 * @example
 * ```ts
 * const store = await openTarantoolMetadata({ host: "127.0.0.1", port: 3301, user, password, dedupeWindowMs: 120_000 });
 * ```
 */
export const openTarantoolMetadata = async (options: TarantoolMetadataOptions): Promise<TarantoolMetadata> => {
  const { host, port, user, password, dedupeWindowMs } = options;
  const link = new Link({
    address: { host, port, user, password },
    connectMsMax: options.connectMsMax ?? connectMsMaxDefault,
    random: options.random ?? Math.random,
  });
  const client = (options.randomId ?? (() => crypto.randomUUID()))();
  const callMsMax = options.callMsMax ?? callMsMaxDefault;
  const calls = new Calls({ link, place: `${host}:${port}`, client, callMsMax, observe: options.observe });
  try {
    const hello = await greet(calls);
    const measurer = new Measurer(calls, options.measure);
    return new TarantoolMetadata({ link, calls, measurer, hello, dedupeWindowMs });
  } catch (error) {
    link.close();
    throw error;
  }
};
