/**
 * The last few encoded messages, so that one message that goes to a thousand subscribers is encoded once.
 * @module
 */
import type { Delivery } from "../broker/contract.ts";

/** Above this the copy into a frame costs more than the encoding around it; also bounds the memory of the slots. */
const encodedLengthMax = 4096;
const slotsCount = 512;

interface Slot<Encoded> {
  readonly subject: string;
  readonly sequence: number;
  readonly timestampMs: number;
  encoded: Encoded | undefined;
}

/**
 * Encoded messages by subject and sequence: messages never change, so nothing ever has to be dropped. One instance
 * serves one broker (two would have the same subjects and sequences for other messages). Kept are messages with their
 * bodies as they were published: a pointer expires, and a body with a coding may come decoded to another subscriber.
 */
export class RecentEncodings<Encoded extends { readonly length: number }> {
  private readonly slots = new Array<Slot<Encoded> | undefined>(slotsCount);

  /** The encoding kept for a message, if there is one. */
  find(message: Delivery): Encoded | undefined {
    if (!isPlain(message)) return undefined;
    const slot = this.slots[message.sequence % slotsCount];
    return slot !== undefined && isOf(slot, message) ? slot.encoded : undefined;
  }

  /**
   * Whether an encoding that was just made is worth keeping: only when the message comes by for the second time, so
   * that a lone subscriber pays for no copy.
   */
  wanted(message: Delivery, length: number): boolean {
    if (length > encodedLengthMax || !isPlain(message)) return false;
    const at = message.sequence % slotsCount;
    const slot = this.slots[at];
    if (slot !== undefined && isOf(slot, message)) return true;
    const { subject, sequence, timestampMs } = message;
    this.slots[at] = { subject, sequence, timestampMs, encoded: undefined };
    return false;
  }

  /** Keeps it. */
  keep(message: Delivery, encoded: Encoded): void {
    const slot = this.slots[message.sequence % slotsCount];
    if (slot !== undefined && isOf(slot, message)) slot.encoded = encoded;
  }
}

const isOf = (slot: Slot<unknown>, message: Delivery): boolean =>
  slot.sequence === message.sequence && slot.subject === message.subject && slot.timestampMs === message.timestampMs;

/** A decoded body comes without the header, and is the same for all who get it decoded. */
const isPlain = (message: Delivery): boolean =>
  message.pointer === undefined && message.headers["content-encoding"] === undefined;
