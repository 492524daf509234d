/**
 * Query strings, strictly: every parameter is known, comes once and is in bounds. `+` stays `+`: no parameter here can
 * hold a space, but subjects and time zones hold plus signs that people forget to encode.
 * @module
 */
import { StreamError } from "../../core/errors.ts";

/** Parameters by name, decoded. */
export type Query = ReadonlyMap<string, string>;

const noQuery: Query = new Map();

/** One percent-decode. @throws StreamError `malformed_request` */
export const percentDecode = (raw: string): string => {
  if (!raw.includes("%")) return raw;
  try {
    return decodeURIComponent(raw);
  } catch {
    throw new StreamError("malformed_request", "The address has a percent-encoding that is not UTF-8.");
  }
};

/**
 * Parses the query of an address.
 * @param known names of the parameters that the path has
 * @throws StreamError `malformed_request`, `unknown_parameter`, `invalid_parameter` (given twice)
 */
export const parseQuery = (url: string, known: readonly string[]): Query => {
  const start = url.indexOf("?");
  if (start === -1) return noQuery;
  const end = url.indexOf("#", start);
  const query = new Map<string, string>();
  for (const pair of url.slice(start + 1, end === -1 ? undefined : end).split("&")) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const name = percentDecode(equals === -1 ? pair : pair.slice(0, equals));
    if (!known.includes(name)) {
      const shown = name.toWellFormed().slice(0, 100);
      const others = known.length === 0 ? "no query parameters" : `the query parameters ${known.join(", ")}`;
      const detail = `There is no query parameter "${shown}" here; the path has ${others}.`;
      throw new StreamError("unknown_parameter", detail, { parameter: name });
    }
    if (query.has(name)) throw invalidParameter(name, `${name} is given more than once.`);
    query.set(name, equals === -1 ? "" : percentDecode(pair.slice(equals + 1)));
  }
  return query;
};

/** An `invalid_parameter` error for a query parameter, a path parameter, a request header or a body field. */
export const invalidParameter = (parameter: string, detail: string): StreamError =>
  new StreamError("invalid_parameter", detail, { parameter });

/** Bounds of an integer, both inclusive. */
export interface IntegerBounds {
  readonly min: number;
  readonly max: number;
}

/** A decimal integer. @throws StreamError `invalid_parameter` */
export const parseInteger = (name: string, raw: string, { min, max }: IntegerBounds): number => {
  const value = /^\d{1,16}$/.test(raw) ? Number(raw) : NaN;
  if (value >= min && value <= max) return value;
  throw invalidParameter(name, `${name} must be an integer from ${min} to ${max}.`);
};

/** An integer parameter, or its default. @throws StreamError `invalid_parameter` */
export const queryInteger = <Default>(query: Query, name: string, bounds: IntegerBounds, otherwise: Default) => {
  const raw = query.get(name);
  return raw === undefined ? otherwise : parseInteger(name, raw, bounds);
};

/** A boolean parameter: `true`, `1`, `false` or `0`; false when absent. @throws StreamError `invalid_parameter` */
export const queryBoolean = (query: Query, name: string): boolean => {
  const raw = query.get(name);
  if (raw === undefined || raw === "false" || raw === "0") return false;
  if (raw === "true" || raw === "1") return true;
  throw invalidParameter(name, `${name} must be true or false.`);
};
