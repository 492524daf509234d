/**
 * `publish` of messages that live for a while, that are committed later, and that are waited for; and how pointers and
 * decoded bodies are printed.
 * @module
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCli } from "../../testing/cli.ts";
import { HttpClient } from "../../testing/http-client.ts";
import { uniqueSubject, useTestServer } from "../../testing/server.ts";

const hourMs = 3_600_000;
const patientMs = 25_000;
const server = useTestServer();
const http = (): HttpClient => new HttpClient(server().url);
let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "mts-cli-"));
  await writeFile(join(folder, "small.txt"), "small");
  await writeFile(join(folder, "large.bin"), Buffer.alloc(2 * 1024 * 1024));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const run = (words: readonly string[], stdin?: string) => {
  const [command = "", ...rest] = words;
  return runCli([command, "--url", server().url, ...rest], { cwd: folder, ...(stdin !== undefined && { stdin }) });
};

describe("time", () => {
  test("--ttl, small and large", async () => {
    const subject = uniqueSubject("cli.ttl");
    expect((await run(["publish", subject, "small.txt", "large.bin", "--ttl", "1h"])).code).toBe(0);
    const { messages } = await http().read(subject);
    expect(messages.map(({ timestampMs, expiresAtMs }) => (expiresAtMs ?? 0) - timestampMs)).toEqual([hourMs, hourMs]);
  });

  test("--delay and --deliver-at say when, small and large", async () => {
    const subject = uniqueSubject("cli.delay");
    const at = new Date(Date.now() + hourMs).toISOString();
    for (const when of [at, String(Date.parse(at))]) {
      const { code, stdout } = await run(["publish", subject, "small.txt", "large.bin", "--deliver-at", when]);
      expect(code).toBe(0);
      const lines = stdout.trimEnd().split("\n");
      expect(lines).toHaveLength(2);
      for (const line of lines) expect(line).toStartWith(`${subject} scheduled ${at} `);
    }
    const { stdout } = await run(["publish", subject, "-", "--delay", "1h", "--json"], "x");
    expect(JSON.parse(stdout)).toEqual({
      subject,
      scheduled_id: expect.any(String) as string,
      deliver_at: expect.any(Number) as number,
      duplicate: false,
    });
    expect((await http().read(subject)).lastSequence).toBe(0);
    expect(await run(["publish", subject, "-", "--deliver-at", "2020-01-01T00:00:00Z"], "x")).toMatchObject({
      stdout: `${subject} 1\n`,
    });
  });

  test.each([
    [["--delay", "1s", "--deliver-at", "1000"], "exclude each other"],
    [["--delay", "1s", "--expected-last", "0"], "--expected-last does not go with a delay"],
    [["--delay", "1s", "--wait", "acked"], "--wait does not go with a delay"],
    [["--deliver-at", "tomorrow"], "--deliver-at must be"],
    [["--ttl", "0s"], "--ttl must be"],
    [["--wait", "all"], "--wait must be"],
    [["--wait", "acked", "--wait-time", "2m"], "--wait-time must be"],
    [["--wait-time", "2s"], "--wait-time needs --wait"],
  ])("%j is wrong usage", async (words, text) => {
    const { code, stderr } = await run(["publish", "a", "small.txt", ...words]);
    expect([code, stderr]).toEqual([2, expect.stringContaining(text) as string]);
  });
});

describe("--wait", () => {
  test("says how many have acknowledged, one message after the other", async () => {
    const subject = uniqueSubject("cli.wait");
    await http().putConsumer(subject, "c", {});
    const running = run(["publish", subject, "--lines", "--wait", "acked", "--wait-time", "30s"], "one\ntwo\n");
    for (const sequence of [1, 2]) {
      const { messages } = await http().fetch(subject, "c", { waitMs: patientMs, autoAck: true });
      expect(messages.map((message) => message.sequence)).toEqual([sequence]);
    }
    expect(await running).toMatchObject({ code: 0, stdout: `${subject} 1 acked 1/1\n${subject} 2 acked 1/1\n` });
  });

  test("fails when they were too few in time, and everything is published", async () => {
    const subject = uniqueSubject("cli.wait");
    await http().putConsumer(subject, "c", {});
    const words = ["publish", subject, "small.txt", "large.bin", "--wait", "acked:1", "--wait-time", "0s", "--json"];
    const { code, stdout } = await run(words);
    expect(code).toBe(1);
    const lines = stdout.trimEnd().split("\n");
    expect(lines.map((line): unknown => JSON.parse(line))).toMatchObject([
      { sequence: 1, acked: 0, recipients_total: 1, acknowledged: false, file: "small.txt" },
      { sequence: 2, acked: 0, recipients_total: 1, acknowledged: false, file: "large.bin" },
    ]);
  });

  test("what HTTP cannot carry is refused", async () => {
    const subject = uniqueSubject("cli.wait");
    const words = ["publish", subject, "small.txt", "--header", "Upper=x", "--wait", "acked"];
    const { code, stderr } = await run(words);
    expect([code, stderr]).toEqual([1, expect.stringContaining("--wait") as string]);
    expect((await http().read(subject)).lastSequence).toBe(0);
  });
});

describe("--deliver", () => {
  test.each(["fetch", "subscribe"])("%s prints pointers and decoded bodies", async (command) => {
    const subject = uniqueSubject("cli.deliver");
    const body = Bun.gzipSync("text");
    await http().publishBatch([{ subject, body, headers: { "content-encoding": "gzip" } }]);
    const more = command === "fetch" ? [] : ["--count", "1"];
    const show = (...words: string[]) => run([command, subject, "--from", "first", ...more, ...words]);
    const pointed = JSON.parse((await show("--deliver", "pointer")).stdout) as Record<string, unknown>;
    expect(pointed).toMatchObject({
      size: body.length,
      pointer: { format: "s3-pointer-v1", content_encoding: "gzip", expires_at: expect.any(Number) as number },
    });
    expect(pointed).not.toHaveProperty("data");
    expect((await show("--deliver", "pointer", "--output", "text")).stdout).toMatch(/\n {2}(?:https?:\/)?\/\S+\n$/);
    expect(JSON.parse((await show("--deliver", "decoded")).stdout)).toMatchObject({ data: "text", headers: {} });
    expect((await show("--deliver", "bytes")).code).toBe(2);
    expect((await show("--deliver", "pointer", "--output", "raw")).code).toBe(2);
  });
});
