import { describe, expect, test } from "bun:test";
import { type Meddle, startControl } from "./control.ts";
import { noViolations } from "./delivery-check.ts";
import { parseOptions } from "./options.ts";
import type { Outcome } from "./outcome.ts";
import { isGood } from "./report.ts";
import { type RunOptions, run } from "./run.ts";

const count = 2000;

/** One run against a server that only answers, and meddles with what it pushes. */
const runAgainst = async (
  meddle: Meddle | undefined,
  argv: readonly string[],
  more: Partial<RunOptions> = {},
): Promise<Outcome> => {
  const server = startControl(meddle);
  try {
    const parsed = parseOptions(["--url", server.url, "--warmup", "0s", "--count", String(count), ...argv]);
    if (parsed.kind !== "run") throw new Error(JSON.stringify(parsed));
    return await run(server.url, parsed.options, { signal: new AbortController().signal, ...more });
  } finally {
    await server.stop();
  }
};

describe("everything is published, delivered and checked", () => {
  test.each([
    [[]],
    [["--publishers", "3", "--subjects", "4", "--subscribers", "2"]],
    [["--batch", "100", "--size", "24B-3KB"]],
    [["--batch", "7", "--window", "20", "--publishers", "2", "--subjects", "3"]],
    [["--window", "1"]],
    [["--size", "100KB", "--window", "50"]],
    [["--protocol", "http", "--window", "8"]],
    [["--protocol", "http", "--window", "4", "--batch", "50", "--subjects", "3"]],
    [["--rate", "50000/s", "--publishers", "2"]],
    [["--rate", "50000/s", "--protocol", "http", "--window", "8"]],
    [["--processes", "2", "--publishers", "4", "--subjects", "2"]],
  ])("%p", async (argv) => {
    const subscribers = argv.includes("--subscribers") ? 2 : 1;
    const outcome = await runAgainst(undefined, argv);
    expect(outcome.errors).toEqual({});
    expect(outcome.violations).toEqual(noViolations());
    expect(outcome.publish?.messages).toBe(count);
    expect(outcome.delivery?.messages).toBe(count * subscribers);
    expect(outcome.verified).toBe(count * subscribers);
    expect(outcome.publish?.latency_us?.max).toBeGreaterThan(0);
    expect(outcome.delivery?.bytes).toBe((outcome.publish?.bytes ?? 0) * subscribers);
    expect(isGood(outcome)).toBe(true);
  });

  test("a warm-up is checked and not measured", async () => {
    const outcome = await runAgainst(undefined, ["--warmup", "50ms"]);
    expect(outcome.publish?.messages).toBe(count);
    expect(outcome.verified).toBeGreaterThan(count);
    expect(isGood(outcome)).toBe(true);
  });

  test("without subscribers only publishing is measured", async () => {
    const outcome = await runAgainst(undefined, ["--subscribers", "0"]);
    expect(outcome.publish?.messages).toBe(count);
    expect(outcome.delivery).toBeUndefined();
    expect(isGood(outcome)).toBe(true);
  });
});

describe("what a server does wrong is found", () => {
  const special = 700;

  test("a repeated message", async () => {
    const { violations } = await runAgainst((m) => (m.sequence === special ? [m, m] : [m]), []);
    expect(violations).toEqual({ ...noViolations(), repeated: 1 });
  });

  test("a damaged message", async () => {
    const { violations } = await runAgainst((message) => {
      if (message.sequence !== special) return [message];
      const body = Buffer.from(message.body);
      body[500] = (body[500] ?? 0) ^ 1;
      return [{ ...message, body }];
    }, []);
    expect(violations).toEqual({ ...noViolations(), corrupted: 1 });
  });

  test("messages in the wrong order", async () => {
    let held: Parameters<Meddle>[0] | undefined;
    const { violations } = await runAgainst((message) => {
      if (message.sequence === special) {
        held = message;
        return [];
      }
      const late = held;
      held = undefined;
      return late === undefined ? [message] : [message, late];
    }, []);
    expect(violations).toEqual({ ...noViolations(), reordered: 1, sequence_gaps: 1 });
  });

  test("a message that never comes", async () => {
    // The wait is for something that will not happen; how long it lasts decides nothing.
    const outcome = await runAgainst((m) => (m.sequence === special ? [] : [m]), [], { stuckMsMax: 200 });
    expect(outcome.violations.lost).toBeGreaterThanOrEqual(1);
    expect(outcome.violations.sequence_gaps).toBe(1);
    expect(isGood(outcome)).toBe(false);
  });
});

test("an interruption ends the publishing, and what was done is reported and checked", async () => {
  const interrupted = new AbortController();
  let seen = 0;
  const meddle: Meddle = (message) => {
    if (++seen === 1000) interrupted.abort();
    return [message];
  };
  const server = startControl(meddle);
  const parsed = parseOptions(["--url", server.url, "--warmup", "0s", "--duration", "10m"]);
  if (parsed.kind !== "run") throw new Error("not accepted");
  const outcome = await run(server.url, parsed.options, { signal: interrupted.signal });
  await server.stop();
  expect(outcome.interrupted).toBe(true);
  expect(outcome.violations).toEqual(noViolations());
  expect(outcome.publish?.messages).toBeGreaterThanOrEqual(1000);
  expect(isGood(outcome)).toBe(true);
});

test("a server that goes away is told, not taken for a good end", async () => {
  const server = startControl();
  const parsed = parseOptions(["--url", server.url, "--warmup", "0s", "--duration", "10m"]);
  if (parsed.kind !== "run") throw new Error("not accepted");
  const running = run(server.url, parsed.options, {
    signal: new AbortController().signal,
    stuckMsMax: 200,
    onStart: (progress) => {
      const stopWhenBusy = (): void => {
        if (progress().delivered < 1000) setImmediate(stopWhenBusy);
        else void server.stop();
      };
      stopWhenBusy();
    },
  });
  const outcome = await running;
  expect(outcome.broken_connections).toBeGreaterThan(0);
  expect(isGood(outcome)).toBe(false);
});

test("nobody at the URL", async () => {
  const parsed = parseOptions(["--url", "http://127.0.0.1:1"]);
  if (parsed.kind !== "run") throw new Error("not accepted");
  const failure: unknown = await run("http://127.0.0.1:1", parsed.options, {
    signal: new AbortController().signal,
  }).catch((error: unknown) => error);
  expect(String(failure)).toContain("nothing answers at http://127.0.0.1:1");
});
