/**
 * Subjects, filters and consumer names: the only place that decides whether a name is valid. Everything behind the
 * edge takes the branded types and trusts them.
 * @module
 */
import { StreamError } from "./errors.ts";
import { consumerNameBytesMax, subjectBytesMax, subjectTokensMax } from "./limits.ts";

/** A valid subject: 1–16 tokens joined by `.`, at most 255 bytes, NFC. */
export type Subject = string & { readonly __brand: "Subject" };
/** A valid filter: a subject in which a token may be `*` and the last may be `>`. */
export type SubjectFilter = string & { readonly __brand: "SubjectFilter" };
/** A valid consumer name: 1–255 bytes of the subject characters (dots included). */
export type ConsumerName = string & { readonly __brand: "ConsumerName" };

const asciiName = /^[A-Za-z0-9_\-/:@%+=~.]+$/;
const unicodeName = /^[\p{L}\p{M}\p{Nd}_\-/:@%+=~.]+$/u;
const asciiFilter = /^[A-Za-z0-9_\-/:@%+=~.*>]+$/;
const unicodeFilter = /^[\p{L}\p{M}\p{Nd}_\-/:@%+=~.*>]+$/u;

const utf8Bytes = (text: string): number => Buffer.byteLength(text, "utf8");

/** What is wrong with the characters and the length of a name, or undefined. */
const nameFault = (raw: string, ascii: RegExp, unicode: RegExp, bytesMax: number): string | undefined => {
  if (raw.length === 0) return "is empty";
  if (raw.length > bytesMax) return `is longer than ${bytesMax} bytes`;
  if (ascii.test(raw)) return undefined;
  if (!unicode.test(raw)) return "has a character other than letters, marks, digits, _ - / : @ % + = ~ and dots";
  if (utf8Bytes(raw) > bytesMax) return `is longer than ${bytesMax} bytes`;
  if (raw.normalize("NFC") !== raw) return "is not in Unicode normalization form C";
  return undefined;
};

const tokenFault = (raw: string): string | undefined => {
  let tokens = 1;
  let tokenLength = 0;
  for (let i = 0; i < raw.length; i++) {
    if (raw.charCodeAt(i) !== 46) {
      tokenLength++;
      continue;
    }
    if (tokenLength === 0) return "has an empty token";
    tokens++;
    tokenLength = 0;
  }
  if (tokenLength === 0) return "has an empty token";
  return tokens > subjectTokensMax ? `has more than ${subjectTokensMax} tokens` : undefined;
};

/** @throws StreamError `invalid_subject` */
export const parseSubject = (raw: unknown): Subject => {
  if (typeof raw !== "string") throw new StreamError("invalid_subject", "The subject must be a string.");
  const fault = nameFault(raw, asciiName, unicodeName, subjectBytesMax) ?? tokenFault(raw);
  if (fault !== undefined) throw new StreamError("invalid_subject", `The subject ${fault}.`);
  return raw as Subject;
};

/** @throws StreamError `invalid_filter` */
export const parseFilter = (raw: unknown): SubjectFilter => {
  if (typeof raw !== "string") throw new StreamError("invalid_filter", "The filter must be a string.");
  const fault = nameFault(raw, asciiFilter, unicodeFilter, subjectBytesMax) ?? tokenFault(raw) ?? wildcardFault(raw);
  if (fault !== undefined) throw new StreamError("invalid_filter", `The filter ${fault}.`);
  return raw as SubjectFilter;
};

const wildcardFault = (raw: string): string | undefined => {
  if (!/[*>]/.test(raw)) return undefined;
  const tokens = raw.split(".");
  for (const [index, token] of tokens.entries()) {
    if (token === "*" || !/[*>]/.test(token)) continue;
    if (token !== ">") return "has a wildcard inside a token; * and > stand alone";
    if (index !== tokens.length - 1) return "has > before its last token";
  }
  return undefined;
};

/** @throws StreamError `invalid_consumer` */
export const parseConsumerName = (raw: unknown): ConsumerName => {
  if (typeof raw !== "string") throw new StreamError("invalid_consumer", "The consumer name must be a string.");
  const fault = nameFault(raw, asciiName, unicodeName, consumerNameBytesMax);
  if (fault !== undefined) throw new StreamError("invalid_consumer", `The consumer name ${fault}.`);
  return raw as ConsumerName;
};

/** Whether the filter has a wildcard; one without is a subject. */
export const isWildcard = (filter: SubjectFilter): boolean => filter.includes("*") || filter.includes(">");

/** The subject that a filter without wildcards names, or undefined. */
export const filterSubject = (filter: SubjectFilter): Subject | undefined =>
  isWildcard(filter) ? undefined : (filter as string as Subject);

/** Whether a subject matches a filter. */
export const filterMatches = (filter: SubjectFilter, subject: Subject): boolean => {
  if (filter === ">") return true;
  if (!isWildcard(filter)) return (filter as string) === subject;
  const wanted = filter.split(".");
  const tokens = subject.split(".");
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === ">") return tokens.length > i;
    if (i >= tokens.length) return false;
    if (wanted[i] !== "*" && wanted[i] !== tokens[i]) return false;
  }
  return wanted.length === tokens.length;
};

/** The longest literal prefix of a filter: every matching subject starts with it. Lets a store seek. */
export const filterPrefix = (filter: SubjectFilter): string => {
  const wildcard = filter.search(/[*>]/);
  return wildcard === -1 ? filter : filter.slice(0, wildcard);
};

/**
 * Whether every subject that matches `inner` matches `outer` too. Exact but for the limits on the length of a subject:
 * what only those would make true counts as false.
 */
export const filterContains = (outer: SubjectFilter, inner: SubjectFilter): boolean => {
  const held = outer.split(".");
  const asked = inner.split(".");
  for (let i = 0; i < held.length; i++) {
    const token = asked[i];
    if (token === undefined) return false;
    if (held[i] === ">") return true;
    if (token === ">") return false;
    if (held[i] !== "*" && held[i] !== token) return false;
  }
  return held.length === asked.length;
};

/**
 * The filter of exactly the subjects that match both, or undefined when there can be none. Exact but for the limits
 * on the length of a subject: what only those would make empty is still answered.
 */
export const filterIntersection = (a: SubjectFilter, b: SubjectFilter): SubjectFilter | undefined => {
  const left = a.split(".");
  const right = b.split(".");
  const both: string[] = [];
  for (let i = 0; i < left.length || i < right.length; i++) {
    const x = left[i];
    const y = right[i];
    if (x === undefined || y === undefined) return undefined;
    if (x === ">") return [...both, ...right.slice(i)].join(".") as SubjectFilter;
    if (y === ">") return [...both, ...left.slice(i)].join(".") as SubjectFilter;
    if (x !== "*" && y !== "*" && x !== y) return undefined;
    both.push(x === "*" ? y : x);
  }
  return both.join(".") as SubjectFilter;
};

/** Whether a subject could match both filters. */
export const filtersOverlap = (a: SubjectFilter, b: SubjectFilter): boolean => filterIntersection(a, b) !== undefined;

/** Subjects that belong to the server begin with this. */
export const serverSubjectPrefix = "$";
