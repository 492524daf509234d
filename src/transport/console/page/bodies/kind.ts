/**
 * What a body is: by its bytes first, as its content type is only what a publisher says. Pure.
 * @module
 */

/** The ways in which a body is shown. */
export type Kind = "json" | "text" | "image" | "hex";

/** Images that browsers draw without running anything; SVG is a document with scripts and is shown as text. */
const signatures: readonly (readonly [type: string, at: number, bytes: readonly number[]])[] = [
  ["image/png", 0, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]],
  ["image/jpeg", 0, [0xff, 0xd8, 0xff]],
  ["image/gif", 0, [0x47, 0x49, 0x46, 0x38]],
  ["image/webp", 8, [0x57, 0x45, 0x42, 0x50]],
  ["image/avif", 4, [0x66, 0x74, 0x79, 0x70, 0x61, 0x76, 0x69, 0x66]],
  ["image/bmp", 0, [0x42, 0x4d]],
];

/** The type of an image by its first bytes, when what is said of it agrees that it is one. */
export const imageType = (bytes: Uint8Array, contentType: string): string | undefined => {
  const said = mediaType(contentType);
  if (said !== "" && said !== "application/octet-stream" && !said.startsWith("image/")) return undefined;
  const found = signatures.find(([, at, signature]) => signature.every((byte, index) => bytes[at + index] === byte));
  // Two bytes are too little to go by alone.
  return found?.[0] === "image/bmp" && said !== "image/bmp" ? undefined : found?.[0];
};

/** `text/html; charset=utf-8` without its parameters, lower-case. */
export const mediaType = (contentType: string): string => (contentType.split(";", 1)[0] ?? "").trim().toLowerCase();

/** Control characters that no text has. */
const binary = /[\0-\x08\x0e-\x1a\x1c-\x1f]/;

/** The bytes as text, when they are UTF-8 text. @param whole false when they were cut off somewhere */
export const textOf = (bytes: Uint8Array, whole: boolean): string | undefined => {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: !whole });
    return binary.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
};

/** The text as JSON, `undefined` when it is none; numbers keep the digits that they were written with. */
export const jsonOf = (text: string): { readonly value: unknown } | undefined => {
  if (!/^\s*[[{"\d\-tfn]/.test(text)) return undefined;
  try {
    return { value: JSON.parse(text, exactNumbers) };
  } catch {
    return undefined;
  }
};

/** A number as it was written: an id of 19 digits must not be shown rounded. */
export class Digits {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

const exactNumbers = (_key: string, value: unknown, context?: { readonly source?: string }): unknown =>
  typeof value === "number" && context?.source !== undefined && String(value) !== context.source
    ? new Digits(context.source)
    : value;

/** The ways in which these bytes can be shown, the best first. */
export const kindsOf = (bytes: Uint8Array, contentType: string, whole: boolean): readonly Kind[] => {
  if (imageType(bytes, contentType) !== undefined) return ["image", "hex"];
  const text = textOf(bytes, whole);
  if (text === undefined || bytes.length === 0) return ["hex"];
  if (!whole || jsonOf(text) === undefined) return ["text", "hex"];
  // A text such as "12" is JSON by accident unless somebody says so.
  const said = /\bjson\b/.test(mediaType(contentType)) || /^\s*[[{]/.test(text);
  return said ? ["json", "text", "hex"] : ["text", "json", "hex"];
};
