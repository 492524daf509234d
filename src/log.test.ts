import { describe, expect, test } from "bun:test";
import { createLogger, type LoggerOptions } from "./log.ts";

const at = Date.UTC(2026, 0, 2, 3, 4, 5, 6);

const logInto = (options: Partial<LoggerOptions> = {}) => {
  const lines: string[] = [];
  const log = createLogger({
    level: "debug",
    format: "json",
    now: () => at,
    colour: false,
    write: (line) => lines.push(line),
    ...options,
  });
  return { log, lines };
};

/** The fields of the only line. */
const onlyLine = (lines: readonly string[]): Record<string, unknown> => {
  expect(lines).toHaveLength(1);
  return JSON.parse(lines[0]!) as Record<string, unknown>;
};

describe("json", () => {
  test("an event is one object on one line, its own fields first", () => {
    const { log, lines } = logInto();
    log.info("server_started", { url: "http://127.0.0.1:8000", text: "two\nlines" });
    expect(lines).toEqual([
      '{"time":"2026-01-02T03:04:05.006Z","level":"info","event":"server_started","url":"http://127.0.0.1:8000","text":"two\\nlines"}\n',
    ]);
  });

  test("fields cannot take the place of time, level and event", () => {
    const { log, lines } = logInto();
    log.warn("slow", { level: "debug", event: "other", time: 0 });
    expect(onlyLine(lines)).toEqual({ time: "2026-01-02T03:04:05.006Z", level: "warn", event: "slow" });
  });

  test("an error keeps name, message, code, stack and cause", () => {
    const { log, lines } = logInto();
    const cause = Object.assign(new TypeError("inner"), { code: "EIO" });
    log.error("failed", { error: new Error("outer", { cause }) });
    expect(onlyLine(lines)["error"]).toEqual({
      name: "Error",
      message: "outer",
      stack: expect.stringContaining("outer"),
      cause: { name: "TypeError", message: "inner", code: "EIO", stack: expect.stringContaining("inner") },
    });
  });

  test("what JSON has no word for does not break the line", () => {
    const { log, lines } = logInto();
    const ring: Record<string, unknown> = {};
    ring["self"] = ring;
    const trap = {
      get value(): string {
        throw new Error("getter");
      },
    };
    log.info("odd", {
      big: 2n ** 60n,
      bytes: new Uint8Array(3),
      ring,
      trap,
      nothing: undefined,
      run: () => 1,
      ratio: Number.NaN,
      map: new Map([["a", new Set([1])]]),
      long: "x".repeat(100_000),
    });
    const line = onlyLine(lines);
    expect(line).toMatchObject({
      big: "1152921504606846976",
      bytes: "[3 bytes]",
      ring: { self: "[circular]" },
      trap: "[unreadable]",
      ratio: "NaN",
      map: { a: [1] },
    });
    expect(line).not.toHaveProperty("nothing");
    expect(line).not.toHaveProperty("run");
    expect(lines[0]!.length).toBeLessThan(10_000);
  });

  test("an error that is its own cause ends", () => {
    const { log, lines } = logInto();
    const error = new Error("again");
    error.cause = error;
    log.error("failed", { error });
    expect(onlyLine(lines)["error"]).toMatchObject({ message: "again", cause: "[circular]" });
  });
});

describe("levels", () => {
  const eventsAt = (level: LoggerOptions["level"]): readonly unknown[] => {
    const { log, lines } = logInto({ level });
    log.debug("d");
    log.info("i");
    log.warn("w");
    log.error("e");
    return lines.map((line) => (JSON.parse(line) as { event: unknown }).event);
  };

  test("an event below the level is not written", () => {
    expect(eventsAt("debug")).toEqual(["d", "i", "w", "e"]);
    expect(eventsAt("info")).toEqual(["i", "w", "e"]);
    expect(eventsAt("error")).toEqual(["e"]);
    expect(eventsAt("off")).toEqual([]);
  });
});

describe("pretty", () => {
  test("time, level, event and fields on one line", () => {
    const { log, lines } = logInto({ format: "pretty" });
    log.info("server_started", { url: "http://127.0.0.1:8000", note: "two words" });
    expect(lines).toEqual(['03:04:05.006 INFO  server_started url=http://127.0.0.1:8000 note="two words"\n']);
  });

  test("an error shows its message on the line and the stacks below", () => {
    const { log, lines } = logInto({ format: "pretty" });
    log.error("failed", { error: new Error("outer", { cause: new TypeError("inner") }) });
    const [head, ...below] = lines.join("").split("\n");
    expect(head).toBe('03:04:05.006 ERROR failed error="outer"');
    expect(below.some((line) => line.includes("Error: outer"))).toBe(true);
    expect(below.some((line) => line.includes("TypeError: inner"))).toBe(true);
  });

  test("outside text cannot move the cursor", () => {
    const { log, lines } = logInto({ format: "pretty" });
    log.warn("odd", { subject: "a\x1b[2Jb\u009b", error: new Error("\x1b]0;title\x07") });
    expect(lines.join("")).not.toMatch(/[\x1b\x07\u009b]/);
  });

  test("colour is there when wanted", () => {
    const { log, lines } = logInto({ format: "pretty", colour: true });
    log.error("failed");
    expect(lines.join("")).toContain("\x1b[31m");
  });
});

test("without a writer of its own the log goes to standard error, and standard output stays clean", async () => {
  const script = `
    import { createLogger } from ${JSON.stringify(`${import.meta.dir}/log.ts`)};
    createLogger({ level: "info", format: "json" }).info("hello", { n: 1 });
  `;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  expect(out).toBe("");
  expect(JSON.parse(err)).toMatchObject({ level: "info", event: "hello", n: 1 });
});
