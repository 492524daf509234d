/**
 * Cursors of pages of events: how far each type was read. Opaque to callers, checked when they come back.
 * @module
 */
import { StreamError } from "../core/errors.ts";
import { type EventType, eventTypes } from "../core/event.ts";
import { sequenceMax } from "../core/limits.ts";
import type { Sequence } from "../core/message.ts";

/** In which order a page is read. */
export type EventOrder = "newest" | "oldest";

/**
 * Where each type goes on. `oldest`: with this sequence; `newest`: with the one before it.
 */
export type EventPositions = ReadonlyMap<EventType, Sequence>;

/** Part of the epoch that a cursor carries: another store must not take it for one of its own. */
const epochChars = 8;
const form = /^([no])([A-Za-z0-9]{0,8})_([0-9a-z]{0,11})_([0-9a-z]{0,11})_([0-9a-z]{0,11})$/;

const tagOf = (epoch: string): string => epoch.replaceAll(/[^A-Za-z0-9]/g, "").slice(0, epochChars);

/** Writes a cursor. */
export const writeCursor = (order: EventOrder, epoch: string, positions: EventPositions): string => {
  const [first = "", second = "", third = ""] = eventTypes.map((type) => positions.get(type)?.toString(36) ?? "");
  return `${order === "newest" ? "n" : "o"}${tagOf(epoch)}_${first}_${second}_${third}`;
};

/**
 * Reads a cursor for some of the types.
 * @throws StreamError `invalid_parameter` when it is none, of another order, another store, or lacks one of the types
 */
export const readCursor = (
  raw: string,
  order: EventOrder,
  epoch: string,
  types: readonly EventType[],
): EventPositions => {
  const match = form.exec(raw);
  if (match === null) throw invalidCursor("The cursor is none that this server gave.");
  if (match[1] !== (order === "newest" ? "n" : "o")) throw invalidCursor("The cursor is of the other order.");
  if (match[2] !== tagOf(epoch))
    throw invalidCursor("The cursor is of events that are not stored any more; start anew.");
  const positions = new Map<EventType, Sequence>();
  for (const [index, type] of eventTypes.entries()) {
    if (!types.includes(type)) continue;
    const text = match[3 + index] ?? "";
    if (text === "") throw invalidCursor("The cursor is of a page with another event_type.");
    const sequence = Number.parseInt(text, 36);
    if (sequence < 1 || sequence > sequenceMax) throw invalidCursor("The cursor is none that this server gave.");
    positions.set(type, sequence);
  }
  return positions;
};

const invalidCursor = (detail: string): StreamError =>
  new StreamError("invalid_parameter", detail, { parameter: "cursor" });
