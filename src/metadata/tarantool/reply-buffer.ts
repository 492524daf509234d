/**
 * The buffer in which `tarantool-driver` collects an answer that comes in several pieces. Its own doubles whenever its
 * end is reached, whatever is in it, and so grows by as much as ever went through; this one moves what is left to the
 * front and only grows for an answer that needs it.
 * @module
 */

const startBytes = 64 * 1024;
/** A buffer that grew beyond this for one answer is let go once it is empty. */
const keptBytesMax = 4 * 1024 * 1024;

/** Takes the place of the driver's own; the names are the driver's. */
export class ReplyBuffer {
  buffer: Buffer = Buffer.allocUnsafeSlow(startBytes);
  /** Where the bytes that were not read yet begin. */
  bufferOffset = 0;
  /** How many they are. */
  bufferLength = 0;

  /** Appends bytes, or a part of them. */
  add(data: Buffer, from = 0, size = data.length - from): void {
    if (this.bufferLength === 0) this.#clear();
    const end = this.bufferOffset + this.bufferLength;
    if (end + size > this.buffer.length) this.#makeRoom(size);
    data.copy(this.buffer, this.bufferOffset + this.bufferLength, from, from + size);
    this.bufferLength += size;
  }

  #clear(): void {
    this.bufferOffset = 0;
    if (this.buffer.length > keptBytesMax) this.buffer = Buffer.allocUnsafeSlow(startBytes);
  }

  #makeRoom(size: number): void {
    const needed = this.bufferLength + size;
    const target = needed > this.buffer.length ? Buffer.allocUnsafeSlow(needed * 2) : this.buffer;
    this.buffer.copy(target, 0, this.bufferOffset, this.bufferOffset + this.bufferLength);
    this.buffer = target;
    this.bufferOffset = 0;
  }
}
