import { expect, test } from "bun:test";
import { BodyPool, headerBytes } from "./bodies.ts";

const run = 0xdeadbeef;

test("what was written is recognised, with its header", () => {
  const pool = new BodyPool(run, 1, 100, 5000);
  const out = Buffer.alloc(10_000);
  const lane = 3;
  for (let number = 0; number < 600; number++) {
    const end = pool.write(out, 10, lane, number, 5e15 + number);
    expect(end - 10).toBe(pool.size(lane, number));
    expect(pool.read(out, 10, end)).toBe("ours");
    expect(pool.header).toEqual({ lane, number, sentUs: 5e15 + number });
  }
});

test("sizes stay in their range and differ; a fixed size is kept", () => {
  const pool = new BodyPool(run, 1, 100, 64_000);
  const sizes = Array.from({ length: 256 }, (_, number) => pool.size(0, number));
  expect(Math.min(...sizes)).toBeGreaterThanOrEqual(100);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(64_000);
  expect(new Set(sizes).size).toBeGreaterThan(100);
  expect(new BodyPool(run, 1, 1000, 1000).size(7, 9)).toBe(1000);
});

test("the same seed makes the same bodies, another one others", () => {
  const bodyOf = (seed: number): string => {
    const out = Buffer.alloc(500);
    new BodyPool(run, seed, 500, 500).write(out, 0, 1, 2, 3);
    return out.toString("hex");
  };
  expect(bodyOf(1)).toBe(bodyOf(1));
  expect(bodyOf(1)).not.toBe(bodyOf(2));
});

test("no changed byte goes unnoticed", () => {
  const pool = new BodyPool(run, 1, 80, 80);
  const body = Buffer.alloc(80);
  for (let at = 0; at < body.length; at++) {
    pool.write(body, 0, 2, 77, 123_456);
    body[at] = (body[at] ?? 0) ^ 0x10;
    // Another run's number makes it somebody else's.
    expect(pool.read(body, 0, body.length)).toBe(at < 4 ? "foreign" : "corrupt");
  }
});

test("a shorter, a longer and a strange body", () => {
  const pool = new BodyPool(run, 1, 80, 80);
  const body = Buffer.alloc(90);
  pool.write(body, 0, 2, 77, 123_456);
  expect(pool.read(body, 0, 79)).toBe("corrupt");
  expect(pool.read(body, 0, 81)).toBe("corrupt");
  expect(pool.read(body, 0, headerBytes - 1)).toBe("foreign");
  expect(pool.read(Buffer.from("a message that somebody else published"), 0, 38)).toBe("foreign");
});
