/**
 * Which names are subjects and which are not.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { expectError, sequencesOf } from "../expectations.ts";
import { uniqueSubject } from "../server.ts";
import type { CaseContext } from "./context.ts";

/** Made unique by a first token; the rows say what follows it. */
const validTails: readonly (readonly [name: string, tail: string])[] = [
  ["plain tokens", "a.b.c"],
  ["all the signs", "a_b-c/d:e@f%g+h=i~j"],
  ["a percent-encoded slash taken literally", "a%2Fb"],
  ["a percent sign alone", "100%"],
  ["a slash at both ends", "/a/"],
  ["digits", "2026.11.21"],
  ["Cyrillic", "заказы.новые"],
  ["Chinese and Arabic digits", "订单.٣"],
  ["NFC", "caf\u00e9"],
  ["combining marks without a composed form", "x\u0323.हिन्दी.ภาษาไทย"],
  ["letters beyond the basic plane", "𐐀𐐁"],
  ["upper and lower case", "Aa.aA"],
  ["words of JavaScript", "__proto__.constructor"],
];

const invalid: readonly (readonly [name: string, subject: string])[] = [
  ["empty", ""],
  ["a dot", "."],
  ["two dots", ".."],
  ["a leading dot", ".a"],
  ["a trailing dot", "a."],
  ["an empty token", "a..b"],
  ["a space", "a b"],
  ["a leading space", " a"],
  ["a no-break space", "a\u00a0b"],
  ["a tab", "a\tb"],
  ["a newline", "a\n"],
  ["NUL", "a\u0000"],
  ["DEL", "a\u007f"],
  ["a C1 control", "a\u0085b"],
  ["a zero-width space", "a\u200bb"],
  ["a zero-width joiner", "a\u200db"],
  ["a byte order mark", "\ufeffa"],
  ["a right-to-left override", "a\u202eb"],
  ["a soft hyphen", "a\u00adb"],
  ["a line separator", "a\u2028b"],
  ["NFD", "cafe\u0301"],
  ["a sign that NFC replaces", "\u212b"],
  ["marks out of canonical order", "x\u0301\u0323"],
  ["Hangul in NFD", "\u1112\u1161\u11ab"],
  ["an emoji", "a.☃"],
  ["a replacement character", "a\ufffd"],
  ["a private-use character", "\ue000"],
  ["one star", "*"],
  ["a star token", "a.*.b"],
  ["a star inside", "a*"],
  ["a greater-than sign", ">"],
  ["a last greater-than sign", "a.>"],
  ["a dollar sign at the start", "$SYS.a"],
  ["a dollar sign inside", "a$b"],
  ["a backslash", "a\\b"],
  ["a question mark", "a?b"],
  ["a hash", "a#b"],
  ["a comma", "a,b"],
  ["a quote", 'a"b'],
];

/** The group. */
export const defineSubjects = (context: CaseContext): void => {
  describe("subject rules", () => {
    test.each(validTails.map((row) => [...row] as [string, string]))("valid: %s", async (_, tail) => {
      const subject = `${uniqueSubject("name")}.${tail}`;
      expect(await context.client().publish({ subject, body: "x" })).toMatchObject({ subject, sequence: 1 });
      const page = await context.client().read(subject);
      expect(sequencesOf(page.messages)).toEqual([1]);
      expect((await context.admin().subject(subject)).string("subject")).toBe(subject);
    });

    test.each(invalid.map((row) => [...row] as [string, string]))("invalid: %s", async (_, subject) => {
      const error = await expectError(context.client().publish({ subject, body: "x" }), "invalid_subject");
      expect(error.retryable).toBe(false);
    });

    test("255 bytes are a subject, 256 are not", async () => {
      const head = `${uniqueSubject("length")}.`;
      const fill = (bytes: number): string => head + "x".repeat(bytes - head.length);
      const cyrillic = `${head}${"x".repeat((255 - head.length) % 2)}${"ж".repeat(Math.floor((255 - head.length) / 2))}`;
      expect(Buffer.byteLength(cyrillic)).toBe(255);
      for (const subject of [fill(255), cyrillic]) {
        expect(await context.client().publish({ subject, body: "x" })).toMatchObject({ subject });
        await expectError(context.client().publish({ subject: `${subject}x`, body: "x" }), "invalid_subject");
      }
    });

    test("16 tokens are a subject, 17 are not", async () => {
      const head = uniqueSubject("tokens");
      const subject = head + ".t".repeat(16 - head.split(".").length);
      expect(await context.client().publish({ subject, body: "x" })).toMatchObject({ subject });
      await expectError(context.client().publish({ subject: `${subject}.t`, body: "x" }), "invalid_subject");
    });
  });
};
