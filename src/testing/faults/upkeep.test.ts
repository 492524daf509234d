/**
 * Upkeep dies by `kill -9` between any two of its steps: nothing is lost, nothing dangles, and the next start finishes.
 * And a publish whose object is deleted under it is written again.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { runCli } from "../cli.ts";
import { someBytes, textsOf } from "../expectations.ts";
import { HttpClient } from "../http-client.ts";
import { metric, putPolicy, until } from "../policies.ts";
import { makeFolder } from "./folder.ts";
import { type FaultPoint, heldLine } from "./plan.ts";
import { ServerProcess } from "./process.ts";

const KiB = 1024;
const caseMsMax = 25_000;
const eager = ["--sweep-interval", "20ms", "--sweep-grace", "50ms"];

/** What the doctor says of the stores of a stopped server. */
const doctor = async (dataDir: string): Promise<Readonly<Record<string, unknown>>> => {
  const { stdout } = await runCli(["doctor", "--json", "--data-dir", dataDir]);
  return JSON.parse(stdout) as Record<string, unknown>;
};

/** Bytes of all objects below the data folder. */
const storedBytes = async (dataDir: string): Promise<number> => {
  let bytes = 0;
  for (const path of await objectsOf(dataDir)) bytes += Bun.file(`${dataDir}/${path}`).size;
  return bytes;
};

/** Objects below the data folder. */
const objectsOf = async (dataDir: string): Promise<readonly string[]> =>
  Array.fromAsync(new Bun.Glob("bodies/{s,o}/**/*").scan({ cwd: dataDir }));

describe("killed while objects are deleted", () => {
  const points: readonly FaultPoint[] = [
    "expire.before",
    "expire.after",
    "dead.take.after",
    "bodies.remove.before",
    "object.unlink.after",
    "bodies.remove.after",
  ];
  test.each(points.map((point) => [point] as const))(
    "at %s: the rest is as it was, and the next start finishes",
    async (point) => {
      await using folder = await makeFolder();
      const kept = someBytes(300 * KiB, 7);
      const gone = Array.from({ length: 5 }, (_, index) => someBytes(300 * KiB, index));
      {
        await using server = await ServerProcess.start({ dataDir: folder.path, flags: ["--sweep-interval", "off"] });
        const http = new HttpClient(server.url);
        for (const body of gone) await http.publish({ subject: "old", body });
        await http.publish({ subject: "kept", body: kept });
        await http.publish({ subject: "kept", body: "small" });
        await putPolicy(server.url, "old", { max_age: "1ms" });
      }
      {
        await using server = await ServerProcess.start({
          dataDir: folder.path,
          flags: eager,
          faults: [{ point, hit: 1, act: "kill" }],
        });
        expect((await server.exited).signal).toBe("SIGKILL");
      }
      {
        await using server = await ServerProcess.start({ dataDir: folder.path, flags: eager });
        await until(
          () => objectsOf(folder.path),
          (objects) => objects.length === 2,
        );
        const http = new HttpClient(server.url);
        expect(await http.read("old")).toMatchObject({ firstSequence: 6, lastSequence: 5, messages: [] });
        await putPolicy(server.url, "old", {});
        expect((await http.publish({ subject: "old", body: "next" })).sequence).toBe(6);
        const { messages } = await http.read("kept");
        expect(Buffer.compare(messages[0]?.body ?? new Uint8Array(0), kept)).toBe(0);
        expect(textsOf(messages.slice(1))).toEqual(["small"]);
        await server.kill("SIGTERM");
      }
      expect(await doctor(folder.path)).toMatchObject({ healthy: true, problems: 0, messages: 3, orphans: 0 });
    },
    caseMsMax,
  );
});

describe("killed while objects are rewritten", () => {
  const points: readonly FaultPoint[] = [
    "sparse.take.after",
    "bodies.segment",
    "segment.sync.before",
    "segment.sync.after",
    "move.before",
    "move.after",
  ];
  test.each(points.map((point) => [point] as const))(
    "at %s: no byte is lost, and the next start finishes",
    async (point) => {
      await using folder = await makeFolder();
      const bodyOf = (sequence: number): Uint8Array => someBytes(10 * KiB, sequence);
      const messages = Array.from({ length: 100 }, (_, index) => ({ subject: "kept", body: bodyOf(index + 1) }));
      {
        await using server = await ServerProcess.start({ dataDir: folder.path, flags: ["--sweep-interval", "off"] });
        const http = new HttpClient(server.url);
        await http.publishBatch(messages);
        await http.purge("kept", 80);
      }
      const flags = [...eager, "--pointer-lifetime", "1s"];
      {
        const faults = [{ point, hit: 1, act: "kill" }] as const;
        await using server = await ServerProcess.start({ dataDir: folder.path, flags, faults });
        expect((await server.exited).signal).toBe("SIGKILL");
      }
      {
        await using server = await ServerProcess.start({ dataDir: folder.path, flags });
        await until(
          () => storedBytes(folder.path),
          (bytes) => bytes <= 2 * 20 * 10 * KiB,
        );
        const read = await new HttpClient(server.url).read("kept");
        expect(read.messages.map(({ sequence }) => sequence)).toEqual(
          Array.from({ length: 20 }, (_, index) => index + 81),
        );
        for (const { sequence, body } of read.messages) expect(Buffer.compare(body, bodyOf(sequence))).toBe(0);
        await server.kill("SIGTERM");
      }
      expect(await doctor(folder.path)).toMatchObject({ healthy: true, problems: 0, messages: 20 });
      // Copies that nobody came to point into are orphans like any other.
      const swept = await runCli(["sweep", "--data-dir", folder.path, "--grace", "0s", "--orphans"]);
      expect(swept.code).toBe(0);
      expect(await storedBytes(folder.path)).toBe(20 * 10 * KiB);
      expect(await doctor(folder.path)).toMatchObject({ healthy: true, problems: 0, messages: 20, orphans: 0 });
    },
    caseMsMax,
  );
});

describe("delayed messages", () => {
  test.each(["due.before", "due.after"] as const)(
    "killed at %s: each is committed once, by the next start",
    async (point) => {
      await using folder = await makeFolder();
      {
        await using server = await ServerProcess.start({
          dataDir: folder.path,
          // The first look is the one of the start.
          faults: [{ point, hit: point === "due.before" ? 2 : 1, act: "kill" }],
        });
        for (const body of ["a", "b", "c"]) {
          const headers = { delay: "50ms", "idempotency-key": body };
          await fetch(`${server.url}/v1/subjects/later/messages`, { method: "POST", body, headers }).catch(
            () => undefined,
          );
        }
        expect((await server.exited).signal).toBe("SIGKILL");
      }
      await using server = await ServerProcess.start({ dataDir: folder.path });
      const http = new HttpClient(server.url);
      // Whoever did not hear asks again under the same key.
      for (const body of ["a", "b", "c"]) {
        const headers = { delay: "50ms", "idempotency-key": body };
        const answer = await fetch(`${server.url}/v1/subjects/later/messages`, { method: "POST", body, headers });
        expect(answer.ok).toBe(true);
      }
      const { messages } = await until(
        () => http.read("later"),
        (page) => page.messages.length >= 3,
      );
      expect(textsOf(messages).sort()).toEqual(["a", "b", "c"]);
      await server.kill("SIGTERM");
      expect(await doctor(folder.path)).toMatchObject({ healthy: true, messages: 3, delayed: 0 });
    },
    caseMsMax,
  );
});

describe("orphans", () => {
  /** A publish dies before its commit: two objects stay that nobody knows of. */
  const leaveOrphans = async (dataDir: string): Promise<void> => {
    await using server = await ServerProcess.start({
      dataDir,
      faults: [{ point: "commit.before", hit: 2, act: "kill" }],
    });
    const http = new HttpClient(server.url);
    await http.publish({ subject: "kept", body: someBytes(300 * KiB, 1) });
    await http.publish({ subject: "lost", body: someBytes(300 * KiB, 2) }).catch(() => undefined);
    expect((await server.exited).signal).toBe("SIGKILL");
  };

  test(
    "are named by the doctor, left alone by a dry run, deleted by a sweep",
    async () => {
      await using folder = await makeFolder();
      await leaveOrphans(folder.path);
      const before = await objectsOf(folder.path);
      expect(before).toHaveLength(2);
      const words = ["--data-dir", folder.path, "--grace", "0s", "--orphans"];
      expect(await doctor(folder.path)).toMatchObject({ healthy: true, orphans: 1, young_objects: 1, orphan_list: [] });

      const dry = await runCli(["sweep", "--dry-run", ...words]);
      expect(dry.code).toBe(0);
      const orphan = /^(o\/\S+) \(300\.0 KiB\)$/m.exec(dry.stdout)?.[1] ?? "";
      expect(before).toContain(`bodies/${orphan}`);
      expect(await objectsOf(folder.path)).toEqual(before);

      const swept = await runCli(["sweep", ...words]);
      expect(swept).toMatchObject({ code: 0, stderr: "" });
      expect(swept.stdout).toBe("0 messages expired, 1 object deleted (300.0 KiB), 1 orphan found (300.0 KiB)\n");
      expect(await objectsOf(folder.path)).toEqual(before.filter((path) => path !== `bodies/${orphan}`));
      expect(await doctor(folder.path)).toMatchObject({ healthy: true, orphans: 0, dead_objects: 0, messages: 1 });
      const again = await runCli(["sweep", ...words]);
      expect(again.stdout).toBe("0 messages expired, 0 objects deleted (0 B)\n");
    },
    caseMsMax,
  );

  test(
    "with a grace are noted first, and a publish may still point into what is not old enough",
    async () => {
      await using folder = await makeFolder();
      await leaveOrphans(folder.path);
      const young = await runCli(["sweep", "--orphans", "--grace", "1h", "--data-dir", folder.path]);
      expect(young.stdout).toBe("0 messages expired, 0 objects deleted (0 B)\n");
      expect(await objectsOf(folder.path)).toHaveLength(2);
    },
    caseMsMax,
  );
});

describe("a publish whose object is deleted under it", () => {
  test(
    "is written again, in order, and readable",
    async () => {
      await using folder = await makeFolder();
      await using server = await ServerProcess.start({
        dataDir: folder.path,
        flags: ["--sweep-interval", "20ms", "--sweep-grace", "0s"],
        faults: [{ point: "commit.before", hit: 2, act: "hold" }],
      });
      const http = new HttpClient(server.url);
      await http.publish({ subject: "a", body: "first" });
      // Both are in the segment of the first, which dies with it while they wait for their commit.
      const publishing = http.publishBatch([
        { subject: "a", body: "second" },
        { subject: "b", body: "third" },
        { subject: "a", body: "fourth" },
      ]);
      await server.wrote(heldLine("commit.before"));
      await http.purge("a", 1);
      await until(
        () => objectsOf(folder.path),
        (objects) => objects.length === 0,
      );
      server.signal("SIGUSR2");
      expect(await publishing).toMatchObject([
        { subject: "a", sequence: 2 },
        { subject: "b", sequence: 1 },
        { subject: "a", sequence: 3 },
      ]);
      expect(textsOf((await http.read("a")).messages)).toEqual(["second", "fourth"]);
      expect(textsOf((await http.read("b")).messages)).toEqual(["third"]);
      await until(
        () => metric(server.url, "mts_deleted_objects_total"),
        (objects) => objects === 1,
      );
      await server.kill("SIGTERM");
      expect(await doctor(folder.path)).toMatchObject({ healthy: true, messages: 3 });
    },
    caseMsMax,
  );
});
