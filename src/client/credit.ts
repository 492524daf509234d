/**
 * How many messages the server may send: what is on its way, what waits here and what there is room for.
 * @module
 */

/** Bodies on their way or waiting, in bytes: large messages get less credit. */
const bodyBytesMax = 64 * 1024 * 1024;
const smallBytes = 1024;
/** How slowly the expected size follows smaller messages. */
const decay = 64;

/** The window of one subscription. */
export class CreditWindow {
  /** Granted, and not come. */
  #underWay = 0;
  /** Come, and not taken. */
  #held = 0;
  #expectedBytes = smallBytes;
  #roomWaiters: (() => void)[] = [];

  /** @param messagesMax from 1 on */
  constructor(private readonly messagesMax: number) {}

  get #target(): number {
    return Math.min(this.messagesMax, Math.max(1, Math.floor(bodyBytesMax / this.#expectedBytes)));
  }

  /** Room for messages that nobody was told of. */
  get free(): number {
    return Math.max(0, this.#target - this.#underWay - this.#held);
  }

  /** What to grant now: enough at once that credit is seldom sent; 0 = nothing. */
  due(): number {
    const { free } = this;
    return free >= Math.max(1, this.#target >> 1) ? free : 0;
  }

  grant(messages: number): void {
    this.#underWay += messages;
  }

  /** A granted message came, and is kept. */
  received(bytes: number): void {
    this.#underWay--;
    this.#held++;
    this.#expectedBytes = Math.max(bytes, smallBytes, this.#expectedBytes - this.#expectedBytes / decay);
  }

  /** Granted messages that came and are not kept, or that will not come. */
  returned(messages: number): void {
    this.#underWay -= messages;
    this.#wake();
  }

  /** The caller took one. */
  taken(): void {
    this.#held--;
    this.#wake();
  }

  /** The connection is gone, and what was under way with it. Wakes who waits for room, so that they notice. */
  reset(): void {
    this.#underWay = 0;
    this.#wakeAll();
  }

  /** Resolves when there is room for a message, or when the connection that it is wanted for is gone. */
  room(): Promise<void> {
    if (this.free > 0) return Promise.resolve();
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  #wake(): void {
    if (this.#roomWaiters.length > 0 && this.free > 0) this.#wakeAll();
  }

  #wakeAll(): void {
    for (const resolve of this.#roomWaiters.splice(0)) resolve();
  }
}
