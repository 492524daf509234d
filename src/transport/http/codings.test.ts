/**
 * Content codings: what a list of them is, and which `Accept-Encoding` takes them.
 * @module
 */
import { expect, test } from "bun:test";
import { codingsOf, takesCodings } from "./codings.ts";

test.each([
  ["gzip", ["gzip"]],
  ["GZIP, br", ["gzip", "br"]],
  ["x-gzip", ["gzip"]],
  ["identity", []],
  ["identity, gzip", ["gzip"]],
  ["", []],
  [" , ", []],
  ["own", ["own"]],
  ["a b", undefined],
  ["gzip;q=1", undefined],
  ["ключ", undefined],
])("%p names %p", (header, codings) => {
  expect(codingsOf(header)).toEqual(codings as string[]);
});

test.each([
  [null, false],
  ["", false],
  ["gzip", true],
  ["GZip", true],
  ["x-gzip", true],
  ["*", true],
  ["br", false],
  ["br, gzip;q=0.5", true],
  ["gzip;q=0", false],
  ["gzip; q=0.0", false],
  ["*, gzip;q=0", false],
  ["*;q=0", false],
  ["*;q=0, gzip", true],
  ["identity", false],
  ["identity, gzip;q=0.5", false],
  ["identity;q=0.5, gzip", true],
  ["identity;q=0", false],
  ["identity;q=0, gzip;q=0.1", true],
  ["gzip;q=2", false],
  ["nonsense;;", false],
])("%p takes gzip: %p", (header, taken) => {
  expect(takesCodings(header, ["gzip"])).toBe(taken);
});

test("all codings of a body must be taken", () => {
  expect(takesCodings("gzip", ["gzip", "br"])).toBe(false);
  expect(takesCodings("gzip, br", ["gzip", "br"])).toBe(true);
  expect(takesCodings("identity;q=0.5, gzip, br;q=0.4", ["gzip", "br"])).toBe(false);
});
