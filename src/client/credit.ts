/**
 * How many messages the server may send: what is on its way, what waits here and what there is room for.
 * @module
 */

import { Waiters } from "./waiters.ts";

const smallBytes = 1024;

/** The window of one subscription. */
export class CreditWindow {
  /** Granted, and not come. */
  #underWay = 0;
  /** Come, and not taken. */
  #held = 0;
  #expectedBytes = smallBytes;
  readonly #waiters = new Waiters();
  readonly #messagesMax: number;

  constructor(messagesMax: number) {
    this.#messagesMax = messagesMax;
  }

  get #target(): number {
    // On their way or waiting: large messages get less credit.
    const bodyBytesMax = 64 * 1024 * 1024;
    return Math.max(1, Math.min(this.#messagesMax, Math.floor(bodyBytesMax / this.#expectedBytes)));
  }

  /** Room for messages that nobody was told of. */
  get free(): number {
    return Math.max(0, this.#target - this.#underWay - this.#held);
  }

  /** What to grant now: enough at once that credit is seldom sent; 0 = nothing. */
  due(): number {
    const { free } = this;
    return free >= this.#target / 2 ? free : 0;
  }

  grant(messages: number): void {
    this.#underWay += messages;
  }

  /** A granted message came, and is kept. */
  received(bytes: number): void {
    this.#underWay--;
    this.#held++;
    // How slowly the expected size follows smaller messages.
    const decay = 64;
    this.#expectedBytes = Math.max(bytes, smallBytes, this.#expectedBytes - this.#expectedBytes / decay);
  }

  /** Granted messages that came and are not kept, or that will not come. */
  returned(messages: number): void {
    this.#underWay -= messages;
    this.#waiters.wake();
  }

  /** The caller took one. */
  taken(): void {
    this.#held--;
    this.#waiters.wake();
  }

  /** The connection is gone, and what was under way with it. Wakes who waits for room, so that they notice. */
  reset(): void {
    this.#underWay = 0;
    this.#waiters.wake();
  }

  /**
   * Grants what there is room for, as soon as there is, and no more than one share of the window.
   * @param shares how many there are
   * @param wanted asked after each wait
   * @returns 0, and nothing is granted, when it is not wanted any more
   */
  async reserve(shares: number, wanted: () => boolean): Promise<number> {
    while (wanted()) {
      const messages = Math.min(this.free, Math.ceil(this.#target / shares));
      if (messages > 0) {
        this.grant(messages);
        return messages;
      }
      await this.#waiters.wait();
    }
    return 0;
  }
}
