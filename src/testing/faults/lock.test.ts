/**
 * A data folder belongs to one process: the second is told who has it, and the death of the first, of whatever kind,
 * gives it back at once.
 * @module
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { HttpClient } from "../http-client.ts";
import { makeFolder } from "./folder.ts";
import { ServerProcess, StartRefusedError } from "./process.ts";

/** A case starts processes; only what hangs takes this long. */
setDefaultTimeout(30_000);

const refusalOf = async (dataDir: string): Promise<StartRefusedError> => {
  const outcome = await ServerProcess.start({ dataDir }).catch((error: unknown) => error);
  if (outcome instanceof ServerProcess) {
    await outcome.kill("SIGKILL");
    throw new Error("the second server started");
  }
  if (outcome instanceof StartRefusedError) return outcome;
  throw outcome;
};

describe("one data folder, two servers", () => {
  test("the second is refused by name of folder and holder, and the first goes on", async () => {
    await using folder = await makeFolder();
    await using first = await ServerProcess.start({ dataDir: folder.path });
    const http = new HttpClient(first.url);
    await http.publish({ subject: "mine", body: "before" });

    const refused = await refusalOf(folder.path);
    expect(refused.exit.signal).toBeNull();
    expect(refused.exit.code).not.toBe(0);
    expect(refused.stderr).toContain(folder.path);
    expect(refused.stderr).toContain(String(first.pid));

    await http.publish({ subject: "mine", body: "after" });
    const { messages } = await http.read("mine");
    expect(messages.map(({ body }) => Buffer.from(body).toString())).toEqual(["before", "after"]);
    // Being refused left no trace that would let a third one in.
    await refusalOf(folder.path);
  });

  test.each(["SIGKILL", "SIGTERM"] as const)("after %s of the first a new one starts at once", async (signal) => {
    await using folder = await makeFolder();
    {
      await using first = await ServerProcess.start({ dataDir: folder.path });
      await new HttpClient(first.url).publish({ subject: "mine", body: "kept" });
      await first.kill(signal);
    }
    await using second = await ServerProcess.start({ dataDir: folder.path });
    const { messages } = await new HttpClient(second.url).read("mine");
    expect(messages.map(({ body }) => Buffer.from(body).toString())).toEqual(["kept"]);
  });

  test("of many that start at the same moment exactly one gets it", async () => {
    await using folder = await makeFolder();
    const starts = await Promise.all(
      Array.from({ length: 4 }, () =>
        ServerProcess.start({ dataDir: folder.path }).catch((error: unknown) => {
          if (error instanceof StartRefusedError) return undefined;
          throw error;
        }),
      ),
    );
    const running = starts.filter((server) => server !== undefined);
    try {
      expect(running).toHaveLength(1);
    } finally {
      await Promise.all(running.map((server) => server.kill("SIGKILL")));
    }
  });
});
