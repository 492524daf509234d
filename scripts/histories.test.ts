import { expect, test } from "bun:test";
import { join } from "node:path";

const script = join(import.meta.dir, "histories.ts");

const runScript = async (...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> => {
  const child = Bun.spawn([process.execPath, script, ...argv], { stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, stdout, stderr };
};

test("help", async () => {
  const { code, stdout } = await runScript("--help");
  expect(code).toBe(0);
  expect(stdout).toStartWith("Usage: bun scripts/histories.ts [options]\n");
});

test("all that is wrong is said at once", async () => {
  const { code, stdout, stderr } = await runScript("--runs", "0", "--stores", "paper");
  expect([code, stdout]).toEqual([2, ""]);
  for (const name of ["--runs", "--stores"]) expect(stderr).toContain(name);
});

test("plays what a seed says", async () => {
  const { code, stdout, stderr } = await runScript("--seed", "11", "--runs", "2", "--steps", "30");
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toMatch(/^seed 11: 2 of 2 histories, \d+ messages, \d+ deaths, \d+ s\n$/);
});
