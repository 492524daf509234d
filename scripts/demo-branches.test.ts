/**
 * The demo as its user runs it, with small numbers, over both pairs of stores.
 */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { guard, release } from "../src/testing/guardian.ts";
import { HttpClient } from "../src/testing/http-client.ts";
import { useTestServer } from "../src/testing/server.ts";

const script = join(import.meta.dir, "demo-branches.ts");
/** Starting stores and processes on a busy machine. */
const caseMsMax = 90_000;

const start = (argv: readonly string[], env: Readonly<Record<string, string>> = {}) => {
  const child = Bun.spawn([process.execPath, script, ...argv], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  guard(child.pid);
  void child.exited.then(() => release(child.pid));
  return child;
};

const runDemo = async (argv: readonly string[], env: Readonly<Record<string, string>> = {}) => {
  const child = start(argv, env);
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, stdout, stderr };
};

const branch = { received: expect.any(Number) as number, verified: expect.any(Number) as number };

test("help", async () => {
  const { code, stdout } = await runDemo(["--help"]);
  expect(code).toBe(0);
  expect(stdout).toStartWith("Usage: scripts/demo-branches [options]\n");
});

test("all that is wrong is said at once", async () => {
  const { code, stdout, stderr } = await runDemo(["--stores", "paper", "--msg-size", "1"], {
    COUNT: "0",
    VERIFY: "yes",
  });
  expect(code).toBe(2);
  expect(stdout).toBe("");
  for (const name of ["--stores", "--msg-size", "--count", "VERIFY"]) expect(stderr).toContain(name);
});

test("nobody at the URL ends with 1", async () => {
  const { code, stderr } = await runDemo(["--url", "http://127.0.0.1:1"]);
  expect(code).toBe(1);
  expect(stderr).toContain("demo-branches: ");
});

describe.each(["embedded", "remote"])("over %s stores", (stores) => {
  test(
    "everything arrives everywhere, and nothing is left",
    async () => {
      const env = { MSG_SIZE: "20kB", COUNT: "5", BRANCHES: "3", VERIFY: "1", DELETE: "1", STORES: stores };
      const { code, stdout, stderr } = await runDemo(["--json"], env);
      expect(stderr).toContain("branch-2 was killed in the middle of message 2");
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({
        ok: true,
        documents: 5,
        branches: [
          { ...branch, name: "branch-1", booked: 5, acked: 5, killed: 0 },
          { ...branch, name: "branch-2", booked: 5, acked: 5, killed: 1 },
          { ...branch, name: "branch-3", booked: 5, acked: 5, killed: 0 },
        ],
        objects: { before: 0, most: expect.any(Number), after: 0 },
        left: { messages: 0, bytes: 0 },
        doctor: { problems: 0, messages: 0, orphans: 0, dead_objects: 0 },
        violations: [],
      });
    },
    caseMsMax,
  );
});

describe("without --delete", () => {
  test(
    "the documents stay",
    async () => {
      const argv = ["--msg-size", "20kB", "--count", "3", "--branches", "1"];
      const { code, stdout } = await runDemo([...argv, "--json"]);
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({
        ok: true,
        branches: [{ name: "branch-1", booked: 3, acked: 3, killed: 1 }],
        objects: { before: 0, most: 3, after: 3 },
        left: { messages: 3 },
        doctor: { problems: 0, messages: 3, orphans: 0 },
      });
    },
    caseMsMax,
  );
});

describe("on a server that runs already", () => {
  const server = useTestServer();

  test(
    "leaves no message, no policy and no consumer",
    async () => {
      const argv = ["--url", server().url, "--msg-size", "20kB", "--count", "3", "--branches", "2", "--delete"];
      const { code, stdout } = await runDemo(argv);
      expect(code).toBe(0);
      expect(stdout).toContain("not looked at");
      expect(stdout).toEndWith("ok\n");
      const http = new HttpClient(server().url);
      const listed = (await (await http.call("GET", "/v1/subjects")).json()) as { readonly subjects: object[] };
      expect(listed.subjects).toMatchObject([{ messages: 0, bytes: 0, last_sequence: 3 }]);
      expect(await (await http.call("GET", "/v1/policies")).json()).toMatchObject({ policies: [] });
    },
    caseMsMax,
  );
});

test(
  "Ctrl-C ends it with everything that it started",
  async () => {
    const child = start(["--msg-size", "20kB", "--count", "100000"]);
    let stderr = "";
    const decoder = new TextDecoder();
    let isInterrupted = false;
    for await (const chunk of child.stderr) {
      stderr += decoder.decode(chunk, { stream: true });
      if (isInterrupted || !stderr.includes("is back as process")) continue;
      isInterrupted = true;
      child.kill("SIGINT");
    }
    expect(await child.exited).toBe(130);
    expect(stderr).toContain("interrupted by SIGINT");
    const pids = [...stderr.matchAll(/(?:is|as) process (\d+)/g)].map(([, pid]) => Number(pid));
    expect(pids).toHaveLength(4);
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow("ESRCH");
    const [, url = "", folder = ""] = /a server at (\S+) over SQLite and files in (\S+)/.exec(stderr) ?? [];
    expect(await fetch(`${url}/healthz`).catch(() => "nobody")).toBe("nobody");
    expect(existsSync(folder)).toBe(false);
  },
  caseMsMax,
);
