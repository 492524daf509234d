/**
 * `subscribe`, `fetch` and `ack` against a real server.
 * @module
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CliRun, runCli } from "../testing/cli.ts";
import { startTestServer, uniqueSubject, useTestServer } from "../testing/server.ts";

const server = useTestServer();
let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "mts-cli-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const withUrl = ([command = "", ...words]: readonly string[]): string[] => [command, "--url", server().url, ...words];
const run = (words: readonly string[]) => runCli(withUrl(words), { cwd: folder });

const send = (method: string, path: string, view: unknown) =>
  fetch(`${server().url}${path}`, {
    method,
    body: JSON.stringify(view),
    headers: { "content-type": "application/json" },
  });

interface Draft {
  readonly body: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

const publish = async (subject: string, ...drafts: readonly (string | Draft)[]): Promise<void> => {
  const messages = drafts.map((draft) => {
    const { body, headers = {} } = typeof draft === "string" ? { body: draft } : draft;
    return { subject, headers, data_base64: Buffer.from(body as string).toString("base64") };
  });
  const response = await send("POST", "/v1/messages", { messages });
  const { results } = (await response.json()) as { results: readonly { sequence?: number }[] };
  expect(results.every(({ sequence }) => sequence !== undefined)).toBe(true);
};

const consumer = async (subject: string, name: string): Promise<Record<string, unknown>> =>
  (await fetch(`${server().url}/v1/subjects/${subject}/consumers/${name}`)).json() as Promise<Record<string, unknown>>;

const makeExplicit = (subject: string, name: string) =>
  send("PUT", `/v1/subjects/${subject}/consumers/${name}`, { ack: "explicit" });

describe("subscribe", () => {
  test("prints JSON lines on a pipe, what is stored and what comes", async () => {
    const subject = uniqueSubject("sub");
    await publish(subject, { body: "one", headers: { k: "v" } });
    const live = new CliRun(withUrl(["subscribe", subject, "--from", "first", "--count", "3"]));
    await live.lines(1);
    await publish(subject, { body: Uint8Array.of(0xff, 0) }, "three");
    const { code, stdout, stderr } = await live.result();
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const messages = stdout
      .trimEnd()
      .split("\n")
      .map((line): unknown => JSON.parse(line));
    expect(messages[0]).toEqual({
      subject,
      sequence: 1,
      timestamp: expect.any(Number),
      headers: { k: "v" },
      size: 3,
      sha256: new Bun.CryptoHasher("sha256").update("one").digest("hex"),
      data: "one",
      deliveries: 1,
    });
    expect(messages[1]).toMatchObject({ sequence: 2, data_base64: "/wA=" });
    expect(messages[2]).toMatchObject({ sequence: 3, data: "three" });
  });

  test("raw: bodies with a newline after each, one alone exactly as it is", async () => {
    const subject = uniqueSubject("sub");
    await publish(subject, "a", { body: Uint8Array.of(0, 255, 10) }, "c");
    const raw = (count: number) =>
      run(["subscribe", subject, "--from", "2", "--output", "raw", "--count", String(count)]);
    expect((await raw(1)).bytes).toEqual(Buffer.from([0, 255, 10]));
    expect((await raw(2)).bytes).toEqual(Buffer.from([0, 255, 10, 10, 99, 10]));
  });

  test("text cannot steer the terminal", async () => {
    const subject = uniqueSubject("sub");
    await publish(subject, { body: "\u001b[2Jclear\u009b1m\nnext\n", headers: { h: "\u001b]0;title\u0007" } });
    const { stdout } = await run(["subscribe", subject, "--from", "first", "--count", "1", "--output", "text"]);
    expect(stdout).toContain(`${subject}  1  `);
    expect(stdout).toContain("  \\u{1b}[2Jclear\\u{9b}1m\n  next\n");
    expect(stdout.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
  });

  test("wildcards, and Ctrl-C ends it with 0", async () => {
    const subject = uniqueSubject("wild");
    const live = new CliRun(withUrl(["subscribe", `${subject}.*`, "--from", "first", "--output", "raw"]));
    await publish(`${subject}.a`, "a");
    await live.lines(1);
    await publish(`${subject}.b`, "b");
    expect(await live.lines(2)).toEqual(["a", "b"]);
    live.kill("SIGINT");
    expect(await live.result()).toMatchObject({ code: 0, stderr: "" });
  });

  test("a consumer resumes after what was printed; --no-ack leaves it where it is", async () => {
    const subject = uniqueSubject("sub");
    await publish(subject, "1", "2", "3", "4");
    const next = async (...more: string[]) =>
      (await run(["subscribe", subject, "--consumer", "c", "--output", "raw", "--count", "2", ...more])).stdout;
    expect(await next("--no-ack")).toBe("1\n2\n");
    expect(await next()).toBe("1\n2\n");
    expect(await consumer(subject, "c")).toMatchObject({ acked_through: 2 });
    expect(await next()).toBe("3\n4\n");
    expect(await consumer(subject, "c")).toMatchObject({ acked_through: 4, pending: 0 });
  });

  test("an explicit consumer settles exactly what was printed", async () => {
    const subject = uniqueSubject("sub");
    await makeExplicit(subject, "c");
    await publish(subject, "1", "2", "3", "4");
    const { stdout } = await run(["subscribe", subject, "--consumer", "c", "--count", "2", "--output", "raw"]);
    expect(stdout).toBe("1\n2\n");
    expect(await consumer(subject, "c")).toMatchObject({ acked_through: 2, pending: 2 });
  });

  test("a reader that goes away ends it quietly", async () => {
    const subject = uniqueSubject("sub");
    await publish(subject, ...Array.from({ length: 3000 }, (_, index) => `message ${index} ${"x".repeat(500)}`));
    const words = withUrl(["subscribe", subject, "--from", "first", "--output", "raw"]);
    const script = '"$@" | head -n 2; echo "${PIPESTATUS[0]}"';
    const child = Bun.spawn(
      ["bash", "-c", script, "bash", process.execPath, join(import.meta.dir, "main.ts"), ...words],
      {
        stderr: "pipe",
      },
    );
    const stdout = await new Response(child.stdout).text();
    const lines = stdout.split("\n").map((line) => line.replace(/ x+$/, ""));
    expect(lines).toEqual(["message 0", "message 1", "0", ""]);
    expect(await new Response(child.stderr).text()).toBe("");
  });

  test("the server stops and comes again: a note, and nothing is lost", async () => {
    await using own = await startTestServer();
    const port = new URL(own.url).port;
    const live = new CliRun(["subscribe", "again", "--url", own.url, "--from", "first", "--output", "raw"]);
    const post = (body: string) => fetch(`${own.url}/v1/subjects/again/messages`, { method: "POST", body });
    await post("before");
    await live.lines(1);
    await own.stop();
    await using second = await startTestServer({ dataDir: own.dataDir, flags: ["--http-port", port] });
    await fetch(`${second.url}/v1/subjects/again/messages`, { method: "POST", body: "after" });
    expect(await live.lines(2)).toEqual(["before", "after"]);
    live.kill("SIGTERM");
    const { code, stderr } = await live.result();
    expect(code).toBe(0);
    expect(stderr).toContain("broke, trying again");
    expect(stderr).toContain("connected again");
  });
});

describe("--output DIR", () => {
  test("names cannot lead out of the folder, and nothing is overwritten", async () => {
    const subject = uniqueSubject("dir");
    const out = join(folder, "out");
    await writeFile(join(folder, "outside"), "untouched");
    const names = ["../outside", "/etc/passwd", "..", "report.txt", "report.txt", "link", ".hidden", undefined];
    await publish(
      subject,
      ...names.map((filename, index) => ({
        body: `body ${index}`,
        ...(filename !== undefined && { headers: { filename } }),
      })),
    );
    await Bun.$`mkdir -p ${out}`;
    await symlink(join(folder, "outside"), join(out, "link"));
    const words = ["subscribe", subject, "--from", "first", "--count", String(names.length), "--output", "out"];
    const { code, stdout } = await run(words);
    expect(code).toBe(0);
    expect(stdout.trimEnd().split("\n")).toEqual([
      `${subject} 1 out/outside`,
      `${subject} 2 out/passwd`,
      `${subject} 3 out/${subject}_3`,
      `${subject} 4 out/report.txt`,
      `${subject} 5 out/report_5.txt`,
      `${subject} 6 out/link_6`,
      `${subject} 7 out/hidden`,
      `${subject} 8 out/${subject}_8`,
    ]);
    expect(await readFile(join(folder, "outside"), "utf8")).toBe("untouched");
    expect(await readFile(join(out, "report.txt"), "utf8")).toBe("body 3");
    expect(await readFile(join(out, "report_5.txt"), "utf8")).toBe("body 4");
    expect((await readdir(out)).length).toBe(names.length + 1);

    await run(["fetch", subject, "--from", "4", "--limit", "1", "--output", "out"]);
    expect(await readFile(join(out, "report_4.txt"), "utf8")).toBe("body 3");
    expect(await readFile(join(out, "report.txt"), "utf8")).toBe("body 3");
  });

  test("what cannot be written is not acknowledged", async () => {
    const subject = uniqueSubject("dir");
    await publish(subject, "x");
    await writeFile(join(folder, "a-file"), "");
    const { code, stderr } = await run(["subscribe", subject, "--consumer", "c", "--output", "a-file/below"]);
    expect(code).toBe(1);
    expect(stderr).toStartWith("minitoolstream: the folder a-file/below cannot be made");
  });
});

describe("fetch and ack", () => {
  test("reads from a start, beyond one page, up to the limit", async () => {
    const subject = uniqueSubject("fetch");
    await publish(subject, ...Array.from({ length: 2500 }, (_, index) => String(index + 1)));
    const numbers = async (...words: string[]) =>
      (await run(["fetch", subject, "--output", "raw", ...words])).stdout.trimEnd().split("\n").map(Number);
    expect(await numbers()).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
    expect(await numbers("--limit", "5000")).toEqual(Array.from({ length: 2500 }, (_, index) => index + 1));
    expect(await numbers("--from", "2499")).toEqual([2499, 2500]);
    expect(await numbers("--from", "last")).toEqual([2500]);
  });

  test("nothing there is no error; --wait takes what comes", async () => {
    const subject = uniqueSubject("fetch");
    expect(await run(["fetch", subject])).toMatchObject({ code: 0, stdout: "", stderr: "" });
    const waiting = new CliRun(withUrl(["fetch", subject, "--wait", "30s", "--output", "raw", "--limit", "1"]));
    await publish(subject, "came");
    expect(await waiting.result()).toMatchObject({ code: 0, stdout: "came" });
  });

  test("under a consumer: the same again until acknowledged", async () => {
    const subject = uniqueSubject("fetch");
    await publish(subject, "1", "2", "3");
    const fetched = async (...words: string[]) =>
      (await run(["fetch", subject, "--consumer", "c", "--output", "raw", ...words])).stdout;
    expect(await fetched("--limit", "2")).toBe("1\n2\n");
    expect(await fetched("--limit", "2")).toBe("1\n2\n");
    expect(await run(["ack", subject, "c", "2"])).toMatchObject({ code: 0, stdout: "acknowledged through 2\n" });
    expect((await run(["ack", subject, "c", "1"])).stdout).toBe("acknowledged through 2 (as before)\n");
    expect(JSON.parse((await run(["ack", subject, "c", "2", "--json"])).stdout)).toEqual({
      acked_through: 2,
      moved: false,
    });
    expect(await fetched("--auto-ack")).toBe("3\n");
    expect(await fetched()).toBe("");
  });

  test("ack names what is wrong", async () => {
    const subject = uniqueSubject("ack");
    await publish(subject, "1");
    expect((await run(["ack", subject, "nobody", "1"])).stderr).toContain("(consumer_not_found)");
    await run(["fetch", subject, "--consumer", "c"]);
    const beyond = await run(["ack", subject, "c", "5"]);
    expect(beyond.code).toBe(1);
    expect(beyond.stderr).toContain("(sequence_out_of_range)");
    expect((await run(["ack", subject, "c", "1", "2"])).code).toBe(1);
  });

  test("on an explicit consumer ack settles exactly the given ones, --through all before it", async () => {
    const subject = uniqueSubject("ack");
    await makeExplicit(subject, "c");
    await publish(subject, "1", "2", "3", "4");
    await run(["fetch", subject, "--consumer", "c"]);
    expect((await run(["ack", subject, "c", "2"])).stdout).toBe("acknowledged through 0\n");
    expect(await consumer(subject, "c")).toMatchObject({ ack_pending: 3 });
    expect((await run(["ack", subject, "c", "3", "--through"])).stdout).toBe("acknowledged through 3\n");
  });
});

describe("subjects and info", () => {
  test("lists all subjects of a filter over many pages", async () => {
    const base = uniqueSubject("list");
    const messages = Array.from({ length: 1100 }, (_, index) => ({ subject: `${base}.${index}`, data: "12345" }));
    await send("POST", "/v1/messages", { messages });
    const { code, stdout } = await run(["subjects", `${base}.*`]);
    expect(code).toBe(0);
    const lines = stdout.trimEnd().split("\n");
    expect(lines).toHaveLength(1101);
    expect(lines[0]?.split(/\s+/)).toEqual(["SUBJECT", "FIRST", "LAST", "MESSAGES", "BYTES"]);
    expect(lines[1]?.split(/\s+/)).toEqual([`${base}.0`, "1", "1", "1", "5"]);
    const json = (await run(["subjects", `${base}.7`, "--json"])).stdout;
    expect(JSON.parse(json)).toEqual({
      subject: `${base}.7`,
      first_sequence: 1,
      last_sequence: 1,
      messages: 1,
      bytes: 5,
    });
  });

  test("shows the server and its limits", async () => {
    const { code, stdout } = await run(["info", "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      url: server().url,
      ready: true,
      version: expect.any(String),
      epoch: expect.any(String),
      max_body_bytes: 64 * 1024 * 1024,
    });
    expect((await run(["info"])).stdout).toMatch(/^max_body_bytes +67108864$/m);
  });

  test("shows a subject with its consumers", async () => {
    const subject = uniqueSubject("info");
    await publish(subject, "1", "2");
    await run(["fetch", subject, "--consumer", "c", "--limit", "1", "--auto-ack"]);
    const { stdout } = await run(["info", subject]);
    expect(stdout).toMatch(/^last_sequence +2$/m);
    expect(stdout).toMatch(/^c +all +1 +1 +1 +0 +0$/m);
    expect(JSON.parse((await run(["info", subject, "--json"])).stdout)).toMatchObject({
      messages: 2,
      consumers: [{ name: "c", acked_through: 1 }],
    });
    const unknown = await run(["info", uniqueSubject("nobody")]);
    expect(unknown.code).toBe(1);
    expect(unknown.stderr).toContain("(subject_not_found)");
  });
});
