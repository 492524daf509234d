import { describe, expect, test } from "bun:test";
import { checkOrigin, crossOrigin } from "./origin.ts";

const request = (host: string | undefined, origin?: string): Request =>
  new Request("http://localhost/", {
    headers: { ...(host === undefined ? {} : { host }), ...(origin === undefined ? {} : { origin }) },
  });
const passes = (host: string | undefined, origin: string | undefined, allowed: string[] = []): boolean =>
  checkOrigin(request(host, origin), allowed) === undefined;

describe("without allowed origins", () => {
  test.each([
    "localhost",
    "LOCALHOST:8000",
    "127.0.0.1:8000",
    "192.168.1.5",
    "[::1]:8000",
    "[::ffff:7f00:1]",
    undefined,
  ])("the Host %p is the server's own", (host) => {
    expect(passes(host, undefined)).toBe(true);
  });

  test.each([
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil.example:8000",
    "a/b",
    "x, localhost",
  ])("the Host %p is foreign, also with an Origin that equals it", (host) => {
    expect(passes(host, undefined)).toBe(false);
    expect(passes(host, `http://${host}`)).toBe(false);
  });

  test.each(["http://localhost:8000", "https://localhost:8000", "HTTP://LOCALHOST:8000"])(
    "the Origin %p is the server's own",
    (origin) => {
      expect(passes("localhost:8000", origin)).toBe(true);
    },
  );

  test.each([
    "http://evil.example",
    "http://localhost",
    "http://localhost:9000",
    "null",
    "",
    "ftp://localhost:8000",
    "x",
  ])("the Origin %p is foreign", (origin) => {
    expect(passes("localhost:8000", origin)).toBe(false);
  });

  test("default ports are the same written or left out", () => {
    expect(passes("localhost:80", "http://localhost")).toBe(true);
    expect(passes("localhost", "https://localhost:443")).toBe(true);
  });
});

describe("with allowed origins", () => {
  const allowed = ["https://app.example", "http://lan.example:8000"];

  test("they may call, and their hosts are the server's too", () => {
    expect(passes("localhost:8000", "https://app.example", allowed)).toBe(true);
    expect(passes("app.example", "https://app.example", allowed)).toBe(true);
    expect(passes("lan.example:8000", undefined, allowed)).toBe(true);
  });

  test("others may not", () => {
    expect(passes("localhost:8000", "http://app.example", allowed)).toBe(false);
    expect(passes("localhost:8000", "https://app.example.evil", allowed)).toBe(false);
    expect(passes("localhost:8000", "null", allowed)).toBe(false);
    expect(passes("lan.example", undefined, allowed)).toBe(false);
  });

  test("* lets all in", () => {
    expect(passes("evil.example", "null", ["*"])).toBe(true);
  });
});

test("only requests of other origins are cross-origin", () => {
  expect(crossOrigin(request("localhost:8000"))).toBeUndefined();
  expect(crossOrigin(request("localhost:8000", "http://localhost:8000"))).toBeUndefined();
  expect(crossOrigin(request("localhost:8000", "https://app.example"))).toBe("https://app.example");
});
