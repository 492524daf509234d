/**
 * Fields of structured request bodies (JSON or msgpack maps), strictly: every field is known and in bounds.
 * @module
 */
import { unknownField } from "../../codec/draft.ts";
import { type IntegerBounds, invalidParameter } from "./query.ts";

/** A body map whose names were checked. */
export type Fields = Readonly<Record<string, unknown>>;

/**
 * Checks that a body is a map with known fields.
 * @throws StreamError `invalid_parameter`, `unknown_field` (with `field`)
 */
export const parseFields = (raw: unknown, known: readonly string[]): Fields => {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw) || raw instanceof Uint8Array) {
    throw invalidParameter("body", "The body must be an object.");
  }
  for (const field of Object.keys(raw)) {
    if (!known.includes(field)) throw unknownField(field, known);
  }
  return raw as Fields;
};

/** An integer field, or its default. @throws StreamError `invalid_parameter` */
export const fieldInteger = <Default>(fields: Fields, name: string, bounds: IntegerBounds, otherwise: Default) => {
  const raw = fields[name];
  return raw === undefined ? otherwise : asInteger(name, raw, bounds);
};

/** A boolean field, or its default. @throws StreamError `invalid_parameter` */
export const fieldBoolean = (fields: Fields, name: string, otherwise: boolean): boolean => {
  const raw = fields[name] ?? otherwise;
  if (fields[name] !== null && typeof raw === "boolean") return raw;
  throw invalidParameter(name, `${name} must be true or false.`);
};

/** A non-empty array of integers. @throws StreamError `invalid_parameter` */
export const asIntegers = (name: string, raw: unknown, bounds: IntegerBounds, countMax: number): readonly number[] => {
  if (!Array.isArray(raw) || raw.length === 0 || raw.length > countMax) {
    throw invalidParameter(name, `${name} must be an array of 1 to ${countMax} integers.`);
  }
  return raw.map((item: unknown) => asInteger(name, item, bounds));
};

/** @throws StreamError `invalid_parameter` */
export const asInteger = (name: string, raw: unknown, { min, max }: IntegerBounds): number => {
  if (typeof raw === "number" && Number.isSafeInteger(raw) && raw >= min && raw <= max) return raw;
  throw invalidParameter(name, `${name} must be an integer from ${min} to ${max}.`);
};
