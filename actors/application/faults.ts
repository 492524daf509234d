/**
 * What may go wrong with a step, whose fault it is, and how long to wait before it is tried again.
 * @module
 */
import { StreamError } from "../../src/core/errors.ts";

/** Pause after a failure, doubled with each of the same message. */
const pauseMs = { first: 100, max: 5000 } as const;
/** Of an error's text, as the store keeps it. */
const errorBytesMax = 1024;

/** The store has no room for what the actor publishes: it waits. */
export class NoRoom extends Error {}

/** The whole step is at fault; which of its messages is found one by one. */
export class StepFault extends Error {}

/** How long to wait after so many failures in a row (from 1), in milliseconds. */
export const pauseAfter = (failures: number): number => Math.min(pauseMs.first * 2 ** (failures - 1), pauseMs.max);

const transient: ReadonlySet<string> = new Set(["unavailable", "outcome_unknown", "storage_full", "overloaded"]);

/** Whether the same may work later, and may be asked again in just the same way. */
export const isTransient = (thrown: unknown): boolean => thrown instanceof StreamError && transient.has(thrown.code);

const utf8 = new TextDecoder();

/** What an error says, short enough to be kept: at most 1 KiB of UTF-8. */
export const textOf = (thrown: unknown): string => {
  const text = (thrown instanceof Error ? thrown.message || thrown.name : String(thrown)).toWellFormed();
  const bytes = Buffer.from(text, "utf8");
  return bytes.length <= errorBytesMax ? text : utf8.decode(bytes.subarray(0, errorBytesMax - 3));
};
