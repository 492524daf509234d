/**
 * `publish` against a real server.
 * @module
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCli } from "../../testing/cli.ts";
import { uniqueSubject, useTestServer } from "../../testing/server.ts";

const server = useTestServer();
let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "mts-cli-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const publish = (words: readonly string[], stdin?: string | Uint8Array) =>
  runCli(["publish", "--url", server().url, ...words], { cwd: folder, ...(stdin !== undefined && { stdin }) });

interface Page {
  readonly messages: readonly {
    readonly sequence: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly size: number;
    readonly sha256: string;
    readonly data?: string;
  }[];
  readonly last_sequence: number;
}

const read = async (subject: string, query = "limit=100"): Promise<Page> =>
  (await fetch(`${server().url}/v1/subjects/${subject}/messages?${query}`)).json() as Promise<Page>;

const randomBytes = (length: number): Uint8Array => {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
};

const sha256 = (bytes: Uint8Array): string => new Bun.CryptoHasher("sha256").update(bytes).digest("hex");

describe("files", () => {
  test("each is a message with its name and type, in the order given", async () => {
    const subject = uniqueSubject("files");
    await mkdir(join(folder, "deep"), { recursive: true });
    await writeFile(join(folder, "terminator.diff"), "- a\n+ b\n");
    await writeFile(join(folder, "deep", "täst.jpeg"), randomBytes(300));
    const { code, stdout, stderr } = await publish([subject, "terminator.diff", "deep/täst.jpeg"]);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `${subject} 1\n${subject} 2\n`, stderr: "" });
    const { messages } = await read(subject);
    expect(messages.map(({ headers }) => headers["filename"])).toEqual(["terminator.diff", "täst.jpeg"]);
    expect(messages[1]?.headers["content-type"]).toBe("image/jpeg");
    expect(messages[0]?.data).toBe("- a\n+ b\n");
  });

  test("20 MiB arrive whole, between small ones, in order", async () => {
    const subject = uniqueSubject("large");
    const large = randomBytes(20 * 1024 * 1024);
    await writeFile(join(folder, "large.bin"), large);
    await writeFile(join(folder, "small.txt"), "small");
    const { code, stdout } = await publish([subject, "small.txt", "large.bin", "small.txt", "--header", "k=größe"]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: [1, 2, 3].map((n) => `${subject} ${n}\n`).join("") });
    const { messages } = await read(subject, "from=2&headers_only=true");
    expect(messages[0]).toMatchObject({ size: large.length, sha256: sha256(large) });
    expect(messages[0]?.headers).toEqual({
      filename: "large.bin",
      "content-type": "application/octet-stream",
      k: "größe",
    });
  });

  test("headers that HTTP cannot carry arrive as given with a large one too", async () => {
    const subject = uniqueSubject("odd");
    await writeFile(join(folder, "two.bin"), randomBytes(2 * 1024 * 1024));
    const words = ["--header", "Trace=A=b", "--header", "content-type= x ", "--header", "FileName=other"];
    expect((await publish([subject, "two.bin", ...words])).code).toBe(0);
    const { messages } = await read(subject, "headers_only=true");
    expect(messages[0]?.headers).toEqual({ Trace: "A=b", "content-type": " x ", FileName: "other" });
  });

  test("one that is not there, or a folder: nothing is published, all are named", async () => {
    const subject = uniqueSubject("missing");
    await writeFile(join(folder, "here.txt"), "here");
    const { code, stdout, stderr } = await publish([subject, "here.txt", "gone.txt", "."]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toBe(
      "minitoolstream: there is no file gone.txt\nminitoolstream: . is a folder; name the files in it, such as ./*\n",
    );
    expect((await read(subject)).last_sequence).toBe(0);
  });

  test("one above the server's limit is refused by its name", async () => {
    const subject = uniqueSubject("huge");
    // A hole: 65 MiB without writing them.
    await Bun.$`truncate -s 68157440 ${join(folder, "huge.bin")}`.quiet();
    const { code, stdout, stderr } = await publish([subject, "huge.bin"]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toStartWith("minitoolstream: huge.bin: ");
    expect(stderr).toContain("(body_too_large)");
    expect((await read(subject)).last_sequence).toBe(0);
  });

  test("--json prints the receipt and the file", async () => {
    const subject = uniqueSubject("json");
    await writeFile(join(folder, "a.json"), "{}");
    const { stdout } = await publish([subject, "a.json", "--json"]);
    expect(JSON.parse(stdout)).toEqual({
      subject,
      sequence: 1,
      timestamp: expect.any(Number),
      duplicate: false,
      file: "a.json",
    });
    expect((await publish([subject, "a.json", "--quiet"])).stdout).toBe("");
  });
});

describe("standard input", () => {
  test("is one message with - and without a file, byte for byte", async () => {
    const subject = uniqueSubject("stdin");
    const body = randomBytes(70_000);
    expect(await publish([subject, "-"], body)).toMatchObject({ code: 0, stdout: `${subject} 1\n` });
    expect(await publish([subject], "text")).toMatchObject({ code: 0, stdout: `${subject} 2\n` });
    const { messages } = await read(subject);
    expect(messages.map((message) => message.sha256)).toEqual([sha256(body), sha256(Buffer.from("text"))]);
    expect(messages[0]?.headers).toEqual({});
  });

  test("is streamed when it is large", async () => {
    const subject = uniqueSubject("stdin");
    const body = randomBytes(5 * 1024 * 1024);
    expect(await publish([subject, "-", "--header", "a=b"], body)).toMatchObject({ code: 0 });
    const { messages } = await read(subject, "headers_only=true");
    expect(messages[0]).toMatchObject({ sha256: sha256(body), size: body.length, headers: { a: "b" } });
  });
});

describe("--lines", () => {
  test("10,000 lines are 10,000 messages in order", async () => {
    const subject = uniqueSubject("lines");
    const lines = Array.from({ length: 10_000 }, (_, index) => `line ${index} ${"ä".repeat(index % 50)}`);
    const { code, stdout } = await publish([subject, "--lines"], `${lines.join("\n")}\n`);
    expect(code).toBe(0);
    expect(stdout).toBe(lines.map((_, index) => `${subject} ${index + 1}\n`).join(""));
    const { messages } = await read(subject, "limit=10000");
    expect(messages.map(({ data }) => data)).toEqual(lines);
    expect(messages[0]?.headers).toEqual({});
  });

  test("empty lines count, the last needs no end, \\r stays, files come one after the other", async () => {
    const subject = uniqueSubject("lines");
    await writeFile(join(folder, "one.txt"), "a\n\nb\r\nc");
    await writeFile(join(folder, "two.txt"), "d\n");
    expect((await publish([subject, "one.txt", "two.txt", "--lines", "--header", "h=1"])).code).toBe(0);
    const { messages } = await read(subject);
    expect(messages.map(({ data }) => data)).toEqual(["a", "", "b\r", "c", "d"]);
    expect(new Set(messages.map(({ headers }) => JSON.stringify(headers)))).toEqual(new Set(['{"h":"1"}']));
  });

  test("a refused line is named, and nothing after it is published under --expected-last", async () => {
    const subject = uniqueSubject("lines");
    await publish([subject], "first");
    const { code, stdout, stderr } = await publish([subject, "--lines", "--expected-last", "0"], "a\nb\n");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/^minitoolstream: standard input, line 1: .*\(wrong_last_sequence\)\n$/);
    expect((await read(subject)).last_sequence).toBe(1);
    expect((await publish([subject, "--lines", "--expected-last", "1"], "a\nb\n")).stdout).toBe(
      `${subject} 2\n${subject} 3\n`,
    );
  });
});

test("a reader of the receipts that goes away does not cut the publishing short", async () => {
  const subject = uniqueSubject("head");
  const words = [join(import.meta.dir, "..", "main.ts"), "publish", subject, "--lines", "--url", server().url];
  const script = 'seq 1 30000 | "$@" | head -n 1; echo "${PIPESTATUS[1]}"';
  const child = Bun.spawn(["bash", "-c", script, "bash", process.execPath, ...words], { stderr: "pipe" });
  expect(await new Response(child.stdout).text()).toBe(`${subject} 1\n0\n`);
  expect(await new Response(child.stderr).text()).toBe("");
  expect((await read(subject, "from=last")).last_sequence).toBe(30_000);
});

test("Ctrl-C ends it also while it waits for standard input", async () => {
  const subject = uniqueSubject("stop");
  const words = [join(import.meta.dir, "..", "main.ts"), "publish", subject, "--lines", "--url", server().url];
  const child = Bun.spawn([process.execPath, ...words], { stdin: "pipe", stderr: "pipe" });
  await child.stdin.write("one\n");
  await child.stdin.flush();
  const { value } = await child.stdout.getReader().read();
  expect(Buffer.from(value ?? []).toString()).toBe(`${subject} 1\n`);
  child.kill("SIGINT");
  expect(await child.exited).toBe(130);
});

test("--message-id makes a repetition answer the first sequence, large or small", async () => {
  const subject = uniqueSubject("ids");
  const large = randomBytes(2 * 1024 * 1024);
  for (const [id, body] of [["größe", "x"] as const, ["large", large] as const]) {
    const first = await publish([subject, "--message-id", id], body);
    const second = await publish([subject, "--message-id", id], body);
    expect(second.stdout).toBe(first.stdout.replace("\n", " duplicate\n"));
  }
});

test("an invalid subject fails by its code", async () => {
  const { code, stderr } = await publish(["no spaces", "-"], "x");
  expect(code).toBe(1);
  expect(stderr).toMatch(/^minitoolstream: .*\(invalid_subject\)\n$/);
});
