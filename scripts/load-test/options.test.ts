import { describe, expect, test } from "bun:test";
import { helpText, type Options, parseOptions } from "./options.ts";

const optionsOf = (...argv: string[]): Options => {
  const parsed = parseOptions(argv);
  if (parsed.kind !== "run") throw new Error(`not accepted: ${JSON.stringify(parsed)}`);
  return parsed.options;
};

const errorsOf = (...argv: string[]): readonly string[] => {
  const parsed = parseOptions(argv);
  return parsed.kind === "wrong" ? parsed.errors : [];
};

test("the defaults: a server of its own, one publisher, one subscriber, 1 KB", () => {
  expect(optionsOf()).toMatchObject({
    target: { kind: "start" },
    ...{ mode: "publish", durationMs: 10_000, warmupMs: 2000, publishers: 1, subscribers: 1, subjects: 1 },
    ...{ bodyBytesMin: 1000, bodyBytesMax: 1000, protocol: "ws", batch: 1, window: 1000, processes: 1, json: false },
  });
  expect(optionsOf("--protocol", "http").window).toBe(64);
  expect(optionsOf("--replay")).toMatchObject({ mode: "replay", count: 100_000, batch: 100, warmupMs: 0 });
});

test("values are read with their units", () => {
  expect(optionsOf("--size", "100B-64KB", "--duration", "5m", "--rate", "5000/s", "--warmup", "500ms")).toMatchObject({
    ...{ bodyBytesMin: 100, bodyBytesMax: 64_000, durationMs: 300_000, ratePerSecond: 5000, warmupMs: 500 },
  });
  expect(optionsOf("--rate", "0.5").ratePerSecond).toBe(0.5);
  expect(optionsOf("--url", "http://127.0.0.1:8000/").target).toEqual({ kind: "url", url: "http://127.0.0.1:8000" });
});

describe("is refused:", () => {
  test.each([
    "--nonsense",
    "positional",
    "--count 0",
    "--count 1e3",
    "--count ten",
    "--publishers -1",
    "--publishers=0",
    "--duration 10",
    "--size 10B",
    "--size 64KB-100B",
    "--size 1KB-2KB-3KB",
    "--size 65MiB",
    "--rate 0",
    "--rate fast",
    "--protocol grpc",
    "--url 127.0.0.1:8000",
    "--url http://127.0.0.1:8000/v1",
    "--url http://127.0.0.1:8000 --start",
    "--url http://127.0.0.1:8000 --data-dir /tmp",
    "--start --control",
    "--count 5 --duration 5s",
    "--filter a.> --replay",
    "--batch 100 --window 10",
    "--processes 4",
    "--protocol http --publishers 1000",
    "--replay --subscribers 0",
    "--subscribers 10000 --subjects 100000",
  ])("%s", (line) => {
    expect(errorsOf(...line.split(" "))).toHaveLength(1);
  });
});

test("everything that is wrong is said at once", () => {
  expect(errorsOf("--count", "x", "--size", "y", "--rate", "z")).toHaveLength(3);
});

test("the help names every option", () => {
  expect(parseOptions(["--help"])).toEqual({ kind: "help", text: helpText() });
  for (const name of ["--url", "--rate", "--replay", "--processes", "--json", "--seed"]) {
    expect(helpText()).toContain(`  ${name}`);
  }
});
