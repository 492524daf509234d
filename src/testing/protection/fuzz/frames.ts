/**
 * One frame or body after the other for the fuzz: real ones, spoilt ones, and bytes by chance.
 * @module
 */
import type { SeededRandom } from "../../faults/random.ts";
import { realFrame } from "./corpus.ts";
import { mutateBytes, mutateValue, randomBytes } from "./mutate.ts";
import { packLoosely } from "./pack.ts";

/** JSON that never fails to be written: numbers that it does not know become null, as `JSON.stringify` has it. */
const jsonBytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value), "utf8");

/** Spoils the written form of a value, its bytes, both or neither. */
export const spoil = (random: SeededRandom, value: unknown, other: unknown, binary: boolean): Buffer => {
  const write = binary ? packLoosely : jsonBytes;
  const kind = random.integer(0, 99);
  if (kind < 15) return write(value);
  if (kind < 65) return write(mutateValue(random, value, binary));
  if (kind < 80) return mutateBytes(random, write(value), write(other));
  if (kind < 90) return mutateBytes(random, write(mutateValue(random, value, binary)), write(other));
  return randomBytes(random, random.integer(0, 9) === 0 ? random.integer(0, 20_000) : random.integer(0, 100));
};

/** The next frame. */
export const nextFrame = (random: SeededRandom, json: boolean): Buffer =>
  spoil(random, realFrame(random, json), realFrame(random, json), !json);
