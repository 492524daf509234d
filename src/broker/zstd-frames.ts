/**
 * Whether zstd data is whole (RFC 8878): the decoders at hand take data that was cut off for shorter data. Only the
 * frames are walked, nothing is decoded.
 * @module
 */

const frameMagic = 0xfd2fb528;
/** Skippable frames: the low four bits may be anything. */
const skippableMagic = 0x184d2a50;
const checksumBytes = 4;
const blockHeaderBytes = 3;

/** What comes next. */
type Step = "magic" | "descriptor" | "block" | "skippable";

/** Walks over the frames, in chunks of any size. */
export class ZstdFrames {
  #step: Step = "magic";
  /** The beginning of what is read next, at most 4 bytes. */
  #held: number[] = [];
  #need = 4;
  /** Bytes of content to pass over first. */
  #skip = 0;
  #hasChecksum = false;
  #isBroken = false;
  #frames = 0;

  /** Whether the chunks so far are one frame or more, and nothing after the last. */
  get isWhole(): boolean {
    const isAtEnd = this.#step === "magic" && this.#held.length === 0 && this.#skip === 0;
    return !this.#isBroken && isAtEnd && this.#frames > 0;
  }

  see(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length && !this.#isBroken) {
      if (this.#skip > 0) {
        const passed = Math.min(this.#skip, chunk.length - at);
        this.#skip -= passed;
        at += passed;
        continue;
      }
      this.#held.push(chunk[at++] ?? 0);
      if (this.#held.length === this.#need) this.#read();
    }
  }

  #read(): void {
    switch (this.#step) {
      case "magic":
        this.#readMagic(littleEndian(this.#held));
        break;
      case "skippable":
        this.#skip = littleEndian(this.#held);
        this.#endFrame();
        break;
      case "descriptor":
        this.#readDescriptor(this.#held[0] ?? 0);
        break;
      case "block":
        this.#readBlock(littleEndian(this.#held));
        break;
    }
  }

  #readMagic(magic: number): void {
    if (magic === frameMagic) this.#expect("descriptor", 1);
    else if ((magic & 0xfffffff0) >>> 0 === skippableMagic) this.#expect("skippable", 4);
    else this.#isBroken = true;
  }

  #readDescriptor(descriptor: number): void {
    const isSingle = (descriptor & 0x20) !== 0;
    this.#hasChecksum = (descriptor & 0x04) !== 0;
    const dictionaryBytes = [0, 1, 2, 4][descriptor & 0x03] ?? 0;
    const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
    this.#skip = (isSingle ? 0 : 1) + dictionaryBytes + sizeBytes;
    this.#expect("block", blockHeaderBytes);
  }

  #readBlock(header: number): void {
    const isLast = (header & 1) !== 0;
    const type = (header >> 1) & 3;
    if (type === 3) {
      this.#isBroken = true;
      return;
    }
    // One byte that is repeated, else the bytes of the block.
    this.#skip = type === 1 ? 1 : header >> 3;
    if (!isLast) {
      this.#expect("block", blockHeaderBytes);
      return;
    }
    if (this.#hasChecksum) this.#skip += checksumBytes;
    this.#endFrame();
  }

  #endFrame(): void {
    this.#frames++;
    this.#expect("magic", 4);
  }

  #expect(step: Step, need: number): void {
    this.#step = step;
    this.#need = need;
    this.#held = [];
  }
}

/** Whether these bytes are whole frames. */
export const isWholeZstd = (bytes: Uint8Array): boolean => {
  const frames = new ZstdFrames();
  frames.see(bytes);
  return frames.isWhole;
};

/** An unsigned number of up to four bytes. */
const littleEndian = (bytes: readonly number[]): number => bytes.reduceRight((value, byte) => value * 256 + byte, 0);
