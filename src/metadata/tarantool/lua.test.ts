/**
 * The tests of the Lua side (`lua/test`), each in a Tarantool and a folder of its own, and its lint.
 * @module
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureTool } from "../../testing/tarantool.ts";

const lua = join(import.meta.dir, "..", "..", "..", "lua");
const tests = readdirSync(join(lua, "test")).filter((name) => name.endsWith(".t"));

const run = async (
  command: readonly string[],
  cwd: string,
): Promise<{ readonly code: number; readonly text: string }> => {
  const child = Bun.spawn([...command], { cwd, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, text: stdout + stderr };
};

describe("lua", () => {
  beforeAll(async () => {
    await ensureTool("tarantool");
    await ensureTool("luacheck");
  });

  test.each(tests)("%s", async (name) => {
    const folder = await mkdtemp(join(tmpdir(), "mts-lua-"));
    try {
      const { code, text } = await run(["tarantool", join(lua, "test", name)], folder);
      expect(text.split("\n").filter((line) => line.startsWith("not ok"))).toEqual([]);
      // A test that breaks off has no complaints either.
      const planned = Number(/^1\.\.(\d+)$/m.exec(text)?.[1] ?? -1);
      expect(text.split("\n").filter((line) => line.startsWith("ok "))).toHaveLength(planned);
      expect(code).toBe(0);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test("luacheck has nothing to say", async () => {
    const files = tests.map((name) => join("test", name));
    const { code, text } = await run(["luacheck", "--no-color", "--quiet", ".", ...files], lua);
    expect([code, text]).toEqual([0, text]);
  });
});
