/**
 * `Range`, `If-Range` and `If-None-Match` (RFC 9110, 13 and 14) for bodies that never change.
 * @module
 */

/** What a `Range` asks of a body: all of it, one half-open part, or a part that lies outside. */
export type RangeChoice =
  | { readonly kind: "whole" }
  | { readonly kind: "part"; readonly start: number; readonly end: number }
  | { readonly kind: "unsatisfiable" };

const whole: RangeChoice = { kind: "whole" };

/**
 * Reads a `Range` header for a body of `length` bytes. Another unit, several parts and what cannot be read count as no
 * range, as RFC 9110 allows.
 */
export const parseRange = (header: string | null, length: number): RangeChoice => {
  const match = /^bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(header ?? "");
  if (match === null) return whole;
  const [, first = "", last = ""] = match;
  if (first === "") return last === "" ? whole : suffix(Number(last), length);
  const start = Number(first);
  if (last !== "" && Number(last) < start) return whole;
  if (start >= length) return { kind: "unsatisfiable" };
  return { kind: "part", start, end: last === "" ? length : Math.min(Number(last) + 1, length) };
};

const suffix = (bytes: number, length: number): RangeChoice => {
  if (bytes === 0) return { kind: "unsatisfiable" };
  // No Content-Range can express a part of an empty body.
  return length === 0 ? whole : { kind: "part", start: Math.max(0, length - bytes), end: length };
};

/** Whether `If-None-Match` names this (strong) tag; weak comparison. */
export const noneMatchHits = (header: string | null, etag: string): boolean =>
  header !== null &&
  header.split(",").some((tag) => {
    const candidate = tag.trim();
    return candidate === "*" || candidate === etag || candidate === `W/${etag}`;
  });

/** Whether `If-Range` lets the range stand: absent, or this very strong tag. Dates never match, there are none. */
export const ifRangeHolds = (header: string | null, etag: string): boolean => header === null || header.trim() === etag;
