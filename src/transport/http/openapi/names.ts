/**
 * Subjects, filters, consumer names and start positions as schemas, as precise as patterns can be. Two rules of names
 * are beyond patterns and stay with the server: 255 bytes of UTF-8 at most, and normalization form C.
 * @module
 */
import { consumerNameBytesMax, subjectBytesMax, subjectTokensMax } from "../../../core/limits.ts";
import type { Schema } from "./operation.ts";

/** What a token is made of, inside a character class: in ASCII, and in all scripts. */
const asciiCharacters = String.raw`A-Za-z0-9_\-/:@%+=~`;
const unicodeCharacters = String.raw`\p{L}\p{Mn}\p{Mc}\p{Me}\p{Nd}_\-/:@%+=~`;

const beyondPatterns = "at most 255 bytes of UTF-8, in Unicode normalization form C";

/**
 * A name in ASCII, where its pattern says all there is to say, or in any script (ECMA-262 with the flag `u`). Both are
 * inside `anyOf` also because Swagger UI compiles the pattern of a parameter itself without that flag.
 */
const nameSchema = (description: string, lengthMax: number, pattern: (characters: string) => string): Schema => ({
  type: "string",
  description,
  minLength: 1,
  maxLength: lengthMax,
  anyOf: [{ pattern: pattern(asciiCharacters) }, { pattern: pattern(unicodeCharacters) }],
});

export const subjectSchema = nameSchema(
  `1 to ${subjectTokensMax} tokens joined by dots; a token is letters, marks and digits of any script and ` +
    `\`_ - / : @ % + = ~\`; ${beyondPatterns}.`,
  subjectBytesMax,
  (characters) => String.raw`^[${characters}]+(?:\.[${characters}]+){0,${subjectTokensMax - 1}}$`,
);

export const filterSchema = nameSchema(
  "A subject in which a token may be `*` (exactly one token) and the last may be `>` (one or more tokens).",
  subjectBytesMax,
  (characters) => {
    const token = String.raw`(?:[${characters}]+|\*)`;
    return String.raw`^(?:>|${token}(?:\.${token}){0,${subjectTokensMax - 2}}(?:\.(?:${token}|>))?)$`;
  },
);

export const consumerNameSchema = nameSchema(
  `The characters of subjects, dots anywhere; ${beyondPatterns}.`,
  consumerNameBytesMax,
  (characters) => `^[${characters}.]+$`,
);

/** Digits of a sequence: 1 to 16, at most 2^53-1; below 10^15 and a little above is what a short pattern can say. */
const sequenceDigits: Schema = { type: "string", pattern: "^[0-8]?[0-9]{1,15}$" };
const time: Schema = { type: "string", format: "date-time" };

/** How many digits an age may have, so that its milliseconds stay below 2^53. */
const agePattern = "^(?:[0-9]{1,15}ms|[0-9]{1,12}s|[0-9]{1,11}m|[0-9]{1,9}h|[0-9]{1,8}d|[0-9]{1,7}w)$";

/** `from`, in a query. */
export const startPositionSchema: Schema = {
  type: "string",
  anyOf: [
    { type: "string", enum: ["first", "new", "last"] },
    sequenceDigits,
    { type: "string", pattern: agePattern },
    time,
  ],
};

/** `start` of a consumer, in a body. */
export const consumerStartSchema = (sequence: Schema): Schema => ({
  description: "Where it starts: `first`, `new`, a sequence (also as digits), or an RFC 3339 time.",
  anyOf: [{ type: "string", enum: ["first", "new"] }, sequence, sequenceDigits, time],
  default: "first",
});
