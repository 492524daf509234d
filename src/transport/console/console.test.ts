/**
 * The console's files as the server sends them, and what of the page is plain computing. What a person does with it is
 * in src/testing/console.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { useTestServer } from "../../testing/server.ts";
import { hexLines } from "./page/bodies/hex-lines.ts";
import { Digits, imageType, jsonOf, kindsOf, textOf } from "./page/bodies/kind.ts";
import { formatAge, formatBytes, formatRate, roundUp, shorten } from "./page/format.ts";
import { Rate } from "./page/rates.ts";
import { parseRoute, routeTo } from "./page/route.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("files", () => {
  const server = useTestServer();
  const paths = ["/", "/console/app.js", "/console/theme.js", "/console/style.css", "/console/icon.svg"];

  test.each(paths.map((path) => [path]))("%s answers everybody, and 304 who has it", async (path) => {
    const response = await fetch(server().url + path);
    expect(response.status).toBe(200);
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
    const etag = response.headers.get("etag") ?? "";
    expect(etag).toMatch(/^"[0-9a-f]{32}"$/);
    const size = (await response.arrayBuffer()).byteLength;
    expect(size).toBeGreaterThan(100);
    const again = await fetch(server().url + path, { headers: { "if-none-match": `"x", W/${etag}` } });
    expect([again.status, again.headers.get("etag")]).toEqual([304, etag]);
    const head = await fetch(server().url + path, { method: "HEAD" });
    expect(head.headers.get("content-length")).toBe(String(size));
    expect((await fetch(server().url + path, { method: "POST" })).status).toBe(405);
  });

  test("the page may load nothing from elsewhere, run nothing inline, and stand in no frame", async () => {
    const response = await fetch(server().url, { headers: { accept: "text/html" } });
    expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
    const policy = response.headers.get("content-security-policy") ?? "";
    for (const part of ["script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "trusted-types 'none'"]) {
      expect(policy.split("; ")).toContain(part);
    }
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    expect(await response.text()).not.toMatch(/<script>|<style|\son\w+=|https?:/);
  });

  test("the script is small", async () => {
    const script = await (await fetch(`${server().url}/console/app.js`)).arrayBuffer();
    expect(script.byteLength).toBeLessThan(100_000);
  });
});

describe("what a body is", () => {
  const png = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0]);

  test.each<[string, Uint8Array, string, boolean, string[]]>([
    ["an object", bytes(`{"a":1}`), "application/json", true, ["json", "text", "hex"]],
    ["an object of no type", bytes(` [1]`), "", true, ["json", "text", "hex"]],
    ["a number as text", bytes("12"), "text/plain", true, ["text", "json", "hex"]],
    ["broken JSON", bytes(`{"a":`), "application/json", true, ["text", "hex"]],
    ["the beginning of JSON", bytes(`{"a":1}`), "application/json", false, ["text", "hex"]],
    ["an image", png, "image/png", true, ["image", "hex"]],
    ["an image of no type", png, "", true, ["image", "hex"]],
    ["an image that is said to be a page", png, "text/html", true, ["hex"]],
    ["a drawing with scripts", bytes("<svg xmlns='x'><script/></svg>"), "image/svg+xml", true, ["text", "hex"]],
    ["no image", bytes("BM and more"), "", true, ["text", "hex"]],
    ["bytes", new Uint8Array([0, 1, 2]), "text/plain", true, ["hex"]],
    ["nothing", new Uint8Array(), "text/plain", true, ["hex"]],
  ])("%s", (_, body, type, whole, kinds) => {
    expect(kindsOf(body, type, whole)).toEqual(kinds as ReturnType<typeof kindsOf>);
  });

  test("text may be cut within a character when there is more of it", () => {
    const cut = bytes("grün").subarray(0, 3);
    expect(textOf(cut, false)).toBe("gr");
    expect(textOf(cut, true)).toBeUndefined();
  });

  test("a type is known by its bytes, and agrees with what is said", () => {
    expect(imageType(png, "image/jpeg")).toBe("image/png");
    expect(imageType(bytes("<svg/>"), "image/svg+xml")).toBeUndefined();
  });

  test("numbers keep their digits", () => {
    const { value } = jsonOf(`{"id":12345678901234567890,"n":1.5}`) ?? {};
    expect(value).toEqual({ id: new Digits("12345678901234567890"), n: 1.5 });
  });

  test("a dump is one as hexdump -C writes it", () => {
    expect(hexLines(bytes("0123456789abcdef\n!"), 0, 18).split("\n")).toEqual([
      "00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  0123456789abcdef",
      "00000010  0a 21                                             .!",
    ]);
  });
});

describe("rates", () => {
  test("over the last seconds", () => {
    const rate = new Rate();
    rate.look(10, 0);
    expect(rate.perSecond()).toBeUndefined();
    for (let second = 1; second <= 10; second++) rate.look(10 + second * 5, second * 1000);
    expect(rate.perSecond()).toBe(5);
    for (let second = 11; second <= 15; second++) rate.look(60, second * 1000);
    expect(rate.perSecond()).toBe(0);
    expect(rate.history()).toHaveLength(15);
  });

  test("begin anew with another store", () => {
    const rate = new Rate();
    rate.look(100, 0);
    rate.look(3, 1000);
    expect(rate.perSecond()).toBeUndefined();
  });
});

test("places are read as they are written", () => {
  const address = routeTo(["subjects", "user/42@x%:ü", 7], { from: "2026-01-01T00:00:00Z", empty: "" });
  const { path, query } = parseRoute(address);
  expect(path).toEqual(["subjects", "user/42@x%:ü", "7"]);
  expect([...query]).toEqual([["from", "2026-01-01T00:00:00Z"]]);
  expect(parseRoute("#/%zz").path).toEqual(["%zz"]);
});

test("figures are short", () => {
  expect([0, 1023, 1536, 64 * 1024 ** 2, 250 * 1024].map(formatBytes)).toEqual([
    "0 B",
    "1,023 B",
    "1.5 KiB",
    "64 MiB",
    "250 KiB",
  ]);
  expect([0, 0.01, 3.25, 1234.4].map(formatRate)).toEqual(["0", "0.1", "3.3", "1,234"]);
  expect([500, 61_000, 7_200_000].map(formatAge)).toEqual(["now", "1 min", "2 h"]);
  expect(shorten("a\n b  c", 10)).toBe("a b c");
  expect(shorten("abcdef", 4)).toBe("abc…");
  expect([0, 1, 3, 5, 11, 450].map(roundUp)).toEqual([1, 1, 5, 5, 20, 500]);
});
