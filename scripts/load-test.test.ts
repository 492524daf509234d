import { describe, expect, test } from "bun:test";
import { join } from "node:path";

const script = join(import.meta.dir, "load-test.ts");

const runScript = async (...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> => {
  const child = Bun.spawn([process.execPath, script, ...argv], { stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, stdout, stderr };
};

test("help", async () => {
  const { code, stdout } = await runScript("--help");
  expect(code).toBe(0);
  expect(stdout).toStartWith("Usage: bun scripts/load-test.ts [options]\n");
});

test("wrong options end with 2 and name what is wrong", async () => {
  const { code, stdout, stderr } = await runScript("--nonsense");
  expect(code).toBe(2);
  expect(stdout).toBe("");
  expect(stderr).toContain("--nonsense");
});

test("nobody at the URL ends with 1", async () => {
  const { code, stderr } = await runScript("--url", "http://127.0.0.1:1");
  expect(code).toBe(1);
  expect(stderr).toContain("nothing answers at http://127.0.0.1:1");
});

describe("the server itself, started for the run", () => {
  const good = { ok: true, errors: {}, broken_connections: 0, violations: { lost: 0, repeated: 0, reordered: 0 } };

  test("publishes, pushes and keeps what it says", async () => {
    const argv = ["--count", "3000", "--warmup", "0s", "--publishers", "3", "--subscribers", "3", "--subjects", "2"];
    const { code, stdout, stderr } = await runScript(...argv, "--size", "24B-20KB", "--json");
    // A slow machine sees lines of progress, and nothing else.
    expect(stderr).toMatch(/^( *[\d.]+ s  .*  errors 0\n)*$/);
    expect(JSON.parse(stdout)).toMatchObject({ ...good, publish: { messages: 3000 }, delivery: { messages: 9000 } });
    expect(code).toBe(0);
  });

  test("over HTTP, one by one and in batches", async () => {
    const argv = ["--protocol", "http", "--window", "8", "--warmup", "0s", "--json"];
    const single = await runScript(...argv, "--count", "500");
    expect(JSON.parse(single.stdout)).toMatchObject({ ...good, publish: { messages: 500 } });
    const batches = await runScript(...argv, "--count", "3000", "--batch", "50");
    expect(JSON.parse(batches.stdout)).toMatchObject({ ...good, publish: { messages: 3000 } });
  });

  test("replays from the first message", async () => {
    const { code, stdout } = await runScript("--replay", "--count", "5000", "--subjects", "3", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ ...good, verified: 5000, delivery: { messages: 5000 } });
    expect(code).toBe(0);
  });

  test("ends with a summary on Ctrl-C", async () => {
    const argv = ["--duration", "10m", "--warmup", "0s", "--json"];
    const child = Bun.spawn([process.execPath, script, ...argv], { stdio: ["ignore", "pipe", "pipe"] });
    // The first line of progress says that it is under way.
    const reader = child.stderr.getReader();
    await reader.read();
    reader.releaseLock();
    child.kill("SIGINT");
    expect(JSON.parse(await child.stdout.text())).toMatchObject({ ...good, interrupted: true });
    expect(await child.exited).toBe(0);
  });
});
