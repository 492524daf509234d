import { expect, test } from "bun:test";
import { fileSystemOf, parseStat } from "./machine.ts";

test("a folder lies on the deepest mount above it, and on the last one there", () => {
  const mounts =
    "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmp/x xfs rw 0 0\n/dev/c /tmp/x btrfs rw 0 0\n";
  const types = ["/home", "/tmp", "/tmp/xy", "/tmp/x/y", "/tmpfiles"].map((folder) => fileSystemOf(mounts, folder));
  expect(types).toEqual(["ext4", "tmpfs", "tmpfs", "btrfs", "ext4"]);
  expect(fileSystemOf("", "/tmp")).toBeUndefined();
});

test("ticks of the machine, without the guests that are counted twice", () => {
  expect(parseStat("cpu  10 20 30 40 50 60 70 80 90 100\ncpu0 1 2 3\n")).toEqual({ all: 360, stolen: 80 });
  expect(parseStat("")).toBeUndefined();
});
