/**
 * The lock of the data folder, between real processes.
 * @module
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DataFolderError, DataFolderLockedError, openDataFolder } from "./data-folder.ts";

/** Opens the folder, says so (or why not) in one line, and stays until it is killed. */
const holderSource = (folder: string): string => `
  import { openDataFolder } from ${JSON.stringify(join(import.meta.dir, "data-folder.ts"))};
  try {
    await openDataFolder(${JSON.stringify(folder)});
    // The result was dropped: the lock must not go with it.
    Bun.gc(true);
    console.log("open");
    setInterval(() => undefined, 1000);
  } catch (thrown) {
    console.log(thrown.name + ": " + thrown.message);
  }
`;

const startHolder = (folder: string, prefix: readonly string[]) =>
  Bun.spawn([...prefix, process.execPath, "-e", holderSource(folder)], {
    stdout: "pipe",
    stderr: "inherit",
    stdin: "ignore",
  });

/**
 * Makes the modes of files bind the process that it starts. Root may write anywhere, whatever they say, as long as it
 * has this capability; `setpriv` is of util-linux.
 */
const boundByModes = process.getuid?.() === 0 ? ["setpriv", "--bounding-set=-dac_override"] : [];

const firstLineOf = async (holder: ReturnType<typeof startHolder>): Promise<string> => {
  let text = "";
  for await (const chunk of holder.stdout) {
    text += new TextDecoder().decode(chunk);
    if (text.includes("\n")) break;
  }
  return text.trim();
};

const errorOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );

describe("data folder", () => {
  let base: string;
  let folder: string;
  const holders: ReturnType<typeof startHolder>[] = [];
  const start = (prefix: readonly string[] = []): ReturnType<typeof startHolder> => {
    const holder = startHolder(folder, prefix);
    holders.push(holder);
    return holder;
  };
  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), "mts-folder-"));
    folder = join(base, "a", "data");
  });
  afterEach(async () => {
    for (const holder of holders.splice(0)) {
      holder.kill("SIGKILL");
      await holder.exited;
    }
    rmSync(base, { recursive: true });
  });

  test("makes the folder, holds it, lets go of it", async () => {
    const first = await openDataFolder(folder);
    expect(first.path).toBe(folder);
    expect(existsSync(folder)).toBe(true);
    expect(await errorOf(openDataFolder(folder))).toBeInstanceOf(DataFolderLockedError);
    expect(await errorOf(openDataFolder(join(base, "a", "..", "a", "data")))).toBeInstanceOf(DataFolderLockedError);
    await first.close();
    await (await openDataFolder(folder)).close();
  });

  test("being turned away does not weaken the holder's lock", async () => {
    const held = await openDataFolder(folder);
    await errorOf(openDataFolder(folder));
    expect(await firstLineOf(start())).toStartWith("DataFolderLockedError");
    await held.close();
  });

  test("keeps another process out and names the holder; kill -9 of the holder lets it in at once", async () => {
    const holder = start();
    expect(await firstLineOf(holder)).toBe("open");
    const error = await errorOf(openDataFolder(folder));
    expect(error).toBeInstanceOf(DataFolderLockedError);
    expect(error).toMatchObject({ holderPid: holder.pid });
    expect(String(error)).toContain(`${folder} is in use by process ${holder.pid} (since 20`);
    expect(String(error)).toContain("Stop that server");

    holder.kill("SIGKILL");
    await holder.exited;
    await (await openDataFolder(folder)).close();
  });

  test("of several that start at the same time exactly one gets in", async () => {
    mkdirSync(folder, { recursive: true });
    const lines = await Promise.all([start(), start(), start()].map(firstLineOf));
    expect(lines.filter((line) => line === "open").length).toBe(1);
    expect(lines.filter((line) => line.startsWith("DataFolderLockedError")).length).toBe(2);
  });

  test("two folders do not know of each other", async () => {
    const one = await openDataFolder(folder);
    const two = await openDataFolder(join(base, "b"));
    await one.close();
    await two.close();
  });

  test("a file in its place is refused", async () => {
    const file = join(base, "file");
    writeFileSync(file, "");
    for (const path of [file, join(file, "below")]) {
      const error = await errorOf(openDataFolder(path));
      expect(error).toBeInstanceOf(DataFolderError);
      expect(String(error)).toContain("is not a folder");
    }
  });

  test("a damaged lock file is named with the fix", async () => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "lock"), "not a database".repeat(1000));
    const error = await errorOf(openDataFolder(folder));
    expect(error).toBeInstanceOf(DataFolderError);
    expect(error).not.toBeInstanceOf(DataFolderLockedError);
    expect(String(error)).toContain(`delete ${join(folder, "lock")}`);
  });

  test("a folder without the right to write is refused", async () => {
    mkdirSync(folder, { recursive: true });
    chmodSync(folder, 0o555);
    const line = await firstLineOf(start(boundByModes));
    chmodSync(folder, 0o755);
    expect(line).toStartWith("DataFolderError: ");
    expect(line).toContain("may not write in it");
  });
});
