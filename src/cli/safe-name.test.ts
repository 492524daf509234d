/**
 * @module
 */
import { describe, expect, test } from "bun:test";
import { join, resolve } from "node:path";
import { numberedName, safeName } from "./safe-name.ts";

describe("safeName", () => {
  test.each([
    ["report.pdf", "report.pdf"],
    ["../../etc/passwd", "passwd"],
    ["..\\..\\boot.ini", "boot.ini"],
    ["/etc/cron.d/job", "job"],
    ["a/..", undefined],
    ["..", undefined],
    [".", undefined],
    ["", undefined],
    ["/", undefined],
    [".bashrc", "bashrc"],
    ["-rf", "rf"],
    ["a\u0000b.txt", "a_b.txt"],
    ["new\nline\u001b[31m.txt", "new_line_[31m.txt"],
    ["Größe 1.txt", "Größe 1.txt"],
    ["Größe.txt".normalize("NFD"), "Größe.txt"],
    ["evil\u202egpj.exe", "evil_gpj.exe"],
    ["nul.txt", "_nul.txt"],
    ["trailing. . ", "trailing"],
  ])("%j becomes %j", (raw, name) => {
    expect(safeName(raw)).toBe(name);
  });

  test("a long one keeps its ending and fits a file system", () => {
    const name = safeName(`${"日".repeat(300)}.jpeg`) ?? "";
    expect(name).toEndWith("日.jpeg");
    expect(Buffer.byteLength(name)).toBeLessThanOrEqual(200);
  });

  test("whatever comes in, what comes out is a file of the folder", () => {
    const parts = ["..", ".", "/", "\\", "a", "\u0000", " ", "-", "~", "%2f", ":", "\u2215", "\uff0f", "é", "*"];
    const folder = "/safe/folder";
    let state = 1;
    for (let i = 0; i < 20_000; i++) {
      let raw = "";
      for (let length = i % 7; length >= 0; length--) {
        state = (state * 48_271) % 2_147_483_647;
        raw += parts[state % parts.length] ?? "";
      }
      const name = safeName(raw);
      if (name === undefined) continue;
      for (let attempt = 0; attempt < 3; attempt++) {
        const path = resolve(join(folder, numberedName(name, 7, attempt)));
        expect(path.slice(0, path.lastIndexOf("/"))).toBe(folder);
      }
    }
  });
});

test("numberedName puts the sequence before the ending", () => {
  expect([0, 1, 2].map((attempt) => numberedName("a.tar", 12, attempt))).toEqual(["a.tar", "a_12.tar", "a_12_2.tar"]);
  expect(numberedName("README", 3, 1)).toBe("README_3");
});
