/**
 * What the command line says about itself, and its exit codes when it is used wrongly.
 * @module
 */
import { describe, expect, test } from "bun:test";
import packageJson from "../../package.json" with { type: "json" };
import { runCli } from "../testing/cli.ts";
import { commands } from "./commands.ts";
import { commandHelp } from "./help.ts";

describe("help", () => {
  test("the overview names every command and the exit codes", async () => {
    const { code, stdout } = await runCli(["--help"]);
    expect(code).toBe(0);
    for (const name of ["serve", "publish", "subscribe", "fetch", "ack", "subjects", "info", "doctor"]) {
      expect(stdout).toMatch(new RegExp(`^  ${name} `, "m"));
    }
    expect(stdout).toContain("Exit codes: 0 done, 1 failed, 2 wrong usage.");
  });

  test("each command has its own, with every option", async () => {
    const { code, stdout } = await runCli(["publish", "--help"]);
    expect(code).toBe(0);
    expect(stdout).toStartWith("Usage: minitoolstream publish SUBJECT [FILE...|-]");
    for (const command of commands) {
      const text = commandHelp(command);
      for (const option of ["help", ...Object.keys(command.options)]) expect(text).toContain(`  --${option}`);
      for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(130);
    }
    expect((await runCli(["help", "doctor"])).stdout).toStartWith("Usage: minitoolstream doctor");
  });

  test("serve lists the server's settings", async () => {
    const { code, stdout } = await runCli(["serve", "--help"]);
    expect(code).toBe(0);
    expect(stdout).toContain("--http-port");
  });

  test("the version is the package's", async () => {
    expect(await runCli(["--version"])).toMatchObject({ code: 0, stdout: `${packageJson.version}\n` });
  });
});

describe("wrong usage ends with 2 and names what is wrong", () => {
  test.each([
    [[], "which command?"],
    [["publsh"], 'no such command: "publsh"'],
    [["--verbose"], "no such option: --verbose"],
    [["publish"], "publish needs more"],
    [["publish", "a", "--hedaer", "k=v"], "--hedaer"],
    [["publish", "a", "-", "--header", "kv"], "--header must look like name=value"],
    [["publish", "a", "-", "-"], "read once"],
    [["publish", "a", "-", "--lines", "--message-id", "x"], "--message-id is for one message"],
    [["publish", "a", "-", "--expected-last", "-1"], "--expected-last"],
    [["subscribe"], "subscribe needs more"],
    [["subscribe", "a", "b"], 'takes no "b"'],
    [["subscribe", "a", "--from", "yesterday"], "--from must be"],
    [["subscribe", "a", "--from", "first", "--consumer", "c"], "exclude each other"],
    [["subscribe", "a", "--ack"], "--ack needs --consumer"],
    [["fetch", "a", "--limit", "0"], "--limit must be a whole number from 1"],
    [["fetch", "a", "--wait", "soon"], "--wait must be a duration"],
    [["ack", "a", "c"], "ack needs more"],
    [["ack", "a", "c", "one"], "SEQUENCE must be a whole number"],
    [["subjects", "--url", "ftp://host"], "must look like http://"],
    [["doctor", "data"], 'takes no "data"'],
    [["serve", "--no-such-flag", "1"], "--no-such-flag"],
  ])("%j", async (words, text) => {
    const { code, stdout, stderr } = await runCli(words);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toStartWith("minitoolstream: ");
    expect(stderr).toContain(text);
  });
});

describe("a server that is not there", () => {
  // Nothing listens on the discard port.
  const url = "http://127.0.0.1:9";

  test.each([["publish a -"], ["subscribe a"], ["fetch a"], ["ack a c 1"], ["subjects"], ["info"]])(
    "%s says how to start one and ends with 1",
    async (line) => {
      const { code, stderr } = await runCli([...line.split(" "), "--url", url], { stdin: "x" });
      expect(code).toBe(1);
      expect(stderr).toBe(
        `minitoolstream: no server answers at ${url}; start one with minitoolstream serve, or name another with --url (or MINITOOLSTREAM_URL)\n`,
      );
    },
  );

  test("MINITOOLSTREAM_URL and an option in front of the command name it too", async () => {
    const byEnvironment = await runCli(["subjects"], { env: { MINITOOLSTREAM_URL: url } });
    expect(byEnvironment.stderr).toContain(url);
    expect((await runCli(["--url", url, "subjects"])).stderr).toContain(url);
  });
});
