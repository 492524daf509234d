/**
 * `token keygen`, `create` and `inspect` as a shell sees them, and their tokens before a real server.
 * @module
 */
import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCli } from "../../testing/cli.ts";
import { startTestServer } from "../../testing/server.ts";
import { keyFolder } from "../../testing/tokens.ts";

const folder = keyFolder();
afterAll(() => folder.remove());

const names = ["--issuer", "me", "--audience", "streams"];
const rights = ["--client", "shop", "--subjects", "orders.>", "--permissions", "publish"];

const run = (words: readonly string[], stdin = "", env: Readonly<Record<string, string>> = {}) =>
  runCli(["token", ...words], { cwd: folder.path, stdin, env });

const keys = async (name: string, algorithm = "EdDSA"): Promise<void> => {
  const { code, stderr } = await run(["keygen", "--out", name, "--algorithm", algorithm]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
};

const create = async (words: readonly string[], key: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await run(["create", ...words, ...names, ...key]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  return stdout.trim();
};

describe("keygen", () => {
  test("files that only their owner can read, named on standard output", async () => {
    const { stdout } = await run(["keygen", "--out", "own"]);
    expect(stdout).toBe("own.private.pem\nown.public.pem\n");
    for (const file of ["own.private.pem", "own.public.pem"]) {
      expect(statSync(join(folder.path, file)).mode & 0o777).toBe(0o600);
    }
    expect(readFileSync(join(folder.path, "own.public.pem"), "utf8")).toStartWith("-----BEGIN PUBLIC KEY-----");
  });

  test("nothing is replaced unless it is forced", async () => {
    await keys("kept", "HS256");
    const before = readFileSync(join(folder.path, "kept.secret"), "utf8");
    const again = await run(["keygen", "--out", "kept", "--algorithm", "HS256"]);
    expect(again.code).toBe(2);
    expect(again.stderr).toContain("--force");
    expect(readFileSync(join(folder.path, "kept.secret"), "utf8")).toBe(before);
    expect((await run(["keygen", "--out", "kept", "--algorithm", "hs256", "--force"])).code).toBe(0);
    expect(readFileSync(join(folder.path, "kept.secret"), "utf8")).not.toBe(before);
  });

  test("half a pair is not left behind", async () => {
    writeFileSync(join(folder.path, "half.public.pem"), "old");
    expect((await run(["keygen", "--out", "half"])).code).toBe(2);
    expect(() => statSync(join(folder.path, "half.private.pem"))).toThrow();
  });

  test("wrong words name the right ones", async () => {
    expect((await run(["keygen", "--algorithm", "none"])).stderr).toContain("EdDSA, ES256, RS256, HS256");
    expect((await run(["keygen", "--out", "no/such/folder/x"])).code).toBe(1);
  });
});

describe("create and inspect", () => {
  test.each(["EdDSA", "ES256", "RS256", "HS256"])("%s: signed, checked, explained", async (algorithm) => {
    await keys(algorithm, algorithm);
    const isSecret = algorithm === "HS256";
    const signing = isSecret ? ["--secret-file", "HS256.secret"] : ["--key", `${algorithm}.private.pem`];
    const checking = isSecret ? signing : ["--key", `${algorithm}.public.pem`];
    const token = await create([...rights, "--deny", "orders.secret.>", "--admin", "--duration", "2h"], signing);
    const { code, stdout } = await run(["inspect", ...checking, ...names], token);
    expect(code).toBe(0);
    expect(stdout).toContain("token       valid\n");
    expect(stdout).toContain("may         publish, delete messages\n");
    expect(stdout).toContain("on          orders.>\nbut not on  orders.secret.>\n");
    const json = JSON.parse((await run(["inspect", "--json", ...checking], token)).stdout) as {
      readonly valid: boolean;
      readonly claims: Readonly<Record<string, number>>;
    };
    expect(json.valid).toBe(true);
    expect(json.claims).toMatchObject({ client_id: "shop", iss: "me", aud: "streams", permissions: ["publish"] });
    expect((json.claims["exp"] ?? 0) - (json.claims["iat"] ?? 0)).toBe(7200);
  });

  test("a list may be written with commas or as several options; a lone star is every subject", async () => {
    await keys("lists");
    const words = ["--client", "x", "--subjects", "a,b.*", "--subjects", "*", "--permissions", "publish, fetch"];
    const token = await create(words, ["--key", "lists.private.pem"]);
    const { stdout } = await run(["inspect"], `Bearer ${token}\n`);
    expect(stdout).toContain("on          a, b.*, every subject\n");
    expect(stdout).toContain("not checked");
  });

  test("what is wrong with a token is said, with exit code 1", async () => {
    await keys("one");
    await keys("other");
    const key = ["--key", "one.private.pem"];
    const token = await create(rights, key);
    const short = await create([...rights, "--duration", "1s"], key);
    const checked = ["inspect", "--key", "one.public.pem"];
    for (const [words, stdin, why] of [
      [["inspect", "--key", "other.public.pem"], token, "signature is wrong"],
      [[...checked, "--issuer", "you"], token, "issuer"],
      [[...checked, "--audience", "you"], token, "audience"],
      [["inspect"], "garbage", "no token"],
      [["inspect"], "", "no token"],
      [checked, `${token.slice(0, -4)}AAAA`, "signature is wrong"],
    ] as const) {
      const { code, stdout, stderr } = await run(words, stdin);
      expect(code).toBe(1);
      expect(stdout + stderr).toContain(why);
    }
    // Its second is over when the clock says so, not earlier.
    let expired = await run(checked, short);
    while (expired.code === 0) expired = await run(checked, short);
    expect(expired.stdout).toContain("expired");
  });

  test("issuer and audience may come from the server's variables", async () => {
    await keys("env");
    const env = { MTS_AUTH_ISSUER: "env-issuer", MTS_AUTH_AUDIENCE: "env-audience" };
    const { stdout } = await run(["create", ...rights, "--key", "env.private.pem"], "", env);
    expect((await run(["inspect"], stdout)).stdout).toContain("env-issuer");
  });

  test("a token as a word is read with a warning, from a file without", async () => {
    await keys("word");
    const token = await create(rights, ["--key", "word.private.pem"]);
    const asWord = await run(["inspect", token]);
    expect(asWord).toMatchObject({ code: 0 });
    expect(asWord.stderr).toContain("others on this machine");
    folder.write("word.token", token);
    expect(await run(["inspect", "--token-file", "word.token"])).toMatchObject({ code: 0, stderr: "" });
  });

  test.each([
    [["create"], "--client"],
    [["create", "--client", "a"], "--subjects"],
    [["create", "--client", "a", "--subjects", "a..b"], "no filter"],
    [["create", "--client", "a", "--subjects", "a"], "--permissions"],
    [["create", "--client", "a", "--subjects", "a", "--permissions", "read"], "publish, subscribe, fetch"],
    [["create", ...rights], "MTS_AUTH_ISSUER"],
    [["create", ...rights, ...names], "keygen"],
    [["create", ...rights, ...names, "--duration", "0s"], "--duration"],
    [["create", ...rights, ...names, "--key", "a", "--secret-file", "b"], "one of --key"],
    [[], "token create"],
    [["renew"], "token create"],
  ])("%j is answered with the fix", async (words, fix) => {
    const { code, stderr } = await run(words);
    expect(code).toBe(2);
    expect(stderr).toContain(fix);
    expect(stderr).toContain("--help");
  });

  test("keys of the wrong half, and others that can read them", async () => {
    await keys("halves");
    const { code, stderr } = await run(["create", ...rights, ...names, "--key", "halves.public.pem"]);
    expect(code).toBe(1);
    expect(stderr).toContain("private one");
    const open = folder.write("open.pem", readFileSync(join(folder.path, "halves.private.pem"), "utf8"));
    await Bun.$`chmod 644 ${open}`;
    expect((await run(["create", ...rights, ...names, "--key", "open.pem"])).stderr).toContain("chmod 600");
  });

  test("help, of one and of all", async () => {
    const all = await runCli(["token", "--help"]);
    for (const name of ["keygen", "create", "inspect"]) {
      expect(all.stdout).toContain(`Usage: minitoolstream token ${name}`);
      expect((await runCli(["help", "token", name])).stdout).toContain("Examples:");
    }
    expect((await runCli(["help", "token"])).stdout).toBe(all.stdout);
    expect((await runCli(["--help"])).stdout).toContain("token create");
  });
});

test("a server takes the tokens, and only what they grant", async () => {
  await keys("live");
  const token = await create(rights, ["--key", "live.private.pem"]);
  const key = join(folder.path, "live.public.pem");
  await using server = await startTestServer({
    flags: ["--auth=jwt", `--auth-public-key=${key}`, "--auth-issuer=me", "--auth-audience=streams", "--log=info"],
  });
  const post = (subject: string, headers: Readonly<Record<string, string>>): Promise<Response> =>
    fetch(`${server.url}/v1/subjects/${subject}/messages`, { method: "POST", body: "x", headers });
  const shown = { authorization: `Bearer ${token}` };
  expect((await post("orders.new", shown)).status).toBe(201);
  expect((await post("payroll", shown)).status).toBe(403);
  expect((await post("orders.new", {})).status).toBe(401);
  expect((await fetch(`${server.url}/v1/subjects/orders.new/messages`, { headers: shown })).status).toBe(403);
  await server.stop();
  expect(server.stderr).toContain('"client":"shop","verb":"publish","subject":"payroll"');
  expect(server.stderr).not.toContain(token.split(".")[2] ?? "");
  await server.start();
});
