/**
 * The command line against a server that asks for tokens.
 * @module
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CliResult, runCli } from "../cli.ts";
import { startTestServer } from "../server.ts";
import { useAuthServer } from "./server.ts";
import { inSeconds } from "./token.ts";

setDefaultTimeout(30_000);

const auth = useAuthServer();
const grants = { client_id: "cli", allowed_subjects: ["cli.>"], permissions: ["*"] };

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "mts-cli-"));
  file = join(folder, "token");
  await writeFile(file, `${auth().issuer.token(grants)}\n`);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const run = (words: readonly string[], env: Readonly<Record<string, string>> = {}, stdin = "x") =>
  runCli(words, { stdin, env: { MINITOOLSTREAM_URL: auth().server.url, ...env } });

const expectEnd = ({ code, stderr }: CliResult, expectedCode: number, text: string): void => {
  expect(code).toBe(expectedCode);
  expect(stderr).toContain(text);
};

const commands: readonly (readonly string[])[] = [
  ["publish", "cli.a", "-"],
  ["fetch", "cli.a", "--limit", "1"],
  ["subscribe", "cli.a", "--from", "first", "--count", "1"],
  ["subjects"],
  ["info"],
  ["info", "cli.a"],
];

describe("a token", () => {
  test.each(commands.map((words) => [words.join(" "), words] as const))("%s takes it from a file", async (_, words) => {
    const { code, stderr } = await run([...words, "--token-file", file]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect((await run(["--token-file", file, ...words])).code).toBe(0);
  });

  test.each(commands.map((words) => [words.join(" "), words] as const))(
    "%s takes it from MTS_TOKEN",
    async (_, words) => {
      const { code, stderr } = await run(words, { MTS_TOKEN: auth().issuer.token(grants) });
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    },
  );

  test("the file wins over the variable", async () => {
    expect((await run(["subjects", "--token-file", file], { MTS_TOKEN: "x.y.z" })).code).toBe(0);
  });

  test("a large file is uploaded with it", async () => {
    const large = join(folder, "large");
    await writeFile(large, new Uint8Array(2 * 1024 * 1024));
    const { code, stdout } = await run(["publish", "cli.large", large, "--json", "--token-file", file]);
    expect(code).toBe(0);
    expect(stdout).toContain('"sequence":1');
  });
});

describe("what is wrong with it is said", () => {
  test("none", async () => {
    for (const words of [["subjects"], ["fetch", "cli.a"]]) {
      const { code, stderr } = await run(words);
      expect(code).toBe(1);
      expect(stderr).toContain("(unauthenticated); give a valid token with --token-file or MTS_TOKEN\n");
    }
  });

  test("expired, or for something else", async () => {
    const expired = await run(["subjects"], { MTS_TOKEN: auth().issuer.token(grants, { exp: inSeconds(-5) }) });
    expectEnd(expired, 1, "(token_expired); give a valid token");
    const denied = await run(["publish", "other", "-", "--token-file", file]);
    expectEnd(denied, 1, "permission_denied");
  });

  test("a file that is missing, or holds something else, which is not shown", async () => {
    for (const words of commands) {
      const result = await run([...words, "--token-file", join(folder, "missing")]);
      expectEnd(result, 1, "the token file cannot be read");
    }
    await writeFile(join(folder, "other"), "my password");
    const other = await run(["subjects", "--token-file", join(folder, "other")]);
    expectEnd(other, 1, "holds no token");
    expect(other.stderr).not.toContain("my password");
    expect(await run(["subjects"], { MTS_TOKEN: "my password" })).toMatchObject({ code: 2 });
  });

  test("among the words it is refused and not repeated", async () => {
    const token = auth().issuer.token(grants);
    for (const words of [
      ["subjects", "--token", token],
      ["subjects", `--token=${token}`],
    ]) {
      const result = await run(words);
      expectEnd(result, 2, "use --token-file or MTS_TOKEN");
      expect(result.stderr).not.toContain(token);
    }
  });
});

test("a server starts where MTS_TOKEN is set for its clients", async () => {
  const server = await startTestServer({ env: { MTS_TOKEN: auth().issuer.token(grants) } });
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  await server.close();
});
