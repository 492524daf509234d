/**
 * Actors as an operator names them: files of their own, what is wrong with them, and the example of the README.
 * @module
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startTestServer } from "../server.ts";

setDefaultTimeout(30_000);

const samples = join(import.meta.dir, "samples");
const repository = join(import.meta.dir, "..", "..", "..");

/** What the server says that does not start with these actors. */
const refusalOf = async (actors: string): Promise<string> => {
  try {
    const server = await startTestServer({ env: { MTS_ACTORS: actors } });
    await server.close();
  } catch (error) {
    return error instanceof Error ? error.message : "";
  }
  return "it started";
};

describe("a server does not start with an actor that cannot be", () => {
  const files: readonly (readonly [string, string, string])[] = [
    ["no default", "export const actor = 1;", "export default defineActor"],
    ["no name", "export default { filter: 'a', state: {}, onMessage() {} };", "export default defineActor"],
    ["a wrong filter", "export default { name: 'a', filter: 'a..b', state: {}, onMessage() {} };", "filter"],
    ["no state", "export default { name: 'a', filter: 'a', onMessage() {} };", "state must be an object"],
    [
      "its own dead letters",
      "export default { name: 'a', filter: 'x', deadLetter: 'x', state: {}, onMessage() {} };",
      "deadLetter",
    ],
    ["something that throws", "throw new Error('broken on purpose');", "broken on purpose"],
  ];
  test.each(files)("%s", async (_, text, wanted) => {
    const folder = await mkdtemp(join(tmpdir(), "mts-actors-"));
    try {
      const file = join(folder, "actor.ts");
      await writeFile(file, text);
      const refusal = await refusalOf(file);
      expect(refusal).toContain(`actors: ${file}: `);
      expect(refusal).toContain(wanted);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test("a name or a file that is not there, the same twice, and no list", async () => {
    expect(await refusalOf("nothing")).toContain("actors: nothing: there is no such actor");
    expect(await refusalOf("./nothing.ts")).toContain("there is no file");
    const file = join(samples, "tally.ts");
    expect(await refusalOf(`metrics,${file},${samples}/../samples/tally.ts`)).toContain(
      "there is another actor of the name tally",
    );
    expect(await refusalOf("Metrics!")).toContain("is no list of actors");
  });

  test("with the exit code of a wrong setting", async () => {
    const folder = await mkdtemp(join(tmpdir(), "mts-actors-"));
    try {
      const argv = ["--actors", "nothing", "--http-port", "0", "--data-dir", folder];
      const child = Bun.spawn([process.execPath, join(repository, "src/main.ts"), ...argv], {
        stdio: ["ignore", "ignore", "pipe"],
      });
      expect(await child.stderr.text()).toContain("there is no such actor");
      expect(await child.exited).toBe(2);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe("the example of the README", () => {
  test("is the file that is tested here", () => {
    const readme = readFileSync(join(repository, "README.md"), "utf8");
    const file = readFileSync(join(samples, "refund-alerts.ts"), "utf8");
    // But for where they are.
    const body = file.slice(file.indexOf("const hourMs")).trim();
    expect(readme).toContain(body);
  });

  test("tells once of a user whose refunds of an hour are too many", async () => {
    await using server = await startTestServer({ env: { MTS_ACTORS: join(samples, "refund-alerts.ts") } });
    const refund = async (user: string, amount: number): Promise<void> => {
      const response = await fetch(`${server.url}/v1/subjects/events.refund/messages`, {
        method: "POST",
        body: JSON.stringify({ user_id: user, event_type: "refund", amount, timestamp: new Date().toISOString() }),
      });
      expect(response.status).toBe(201);
    };
    for (const amount of [200, 299.99]) await refund("ann", amount);
    await refund("bob", 500.01);
    for (const amount of [0.02, 100]) await refund("ann", amount);
    const response = await fetch(`${server.url}/v1/subjects/alerts.refunds/messages?wait_ms=10000`);
    await response.text();
    for (;;) {
      const shown = (await (await fetch(`${server.url}/v1/actors/refund-alerts`)).json()) as { lag: number };
      if (shown.lag === 0) break;
      await Bun.sleep(10);
    }
    const page = await (await fetch(`${server.url}/v1/subjects/alerts.refunds/messages`)).json();
    const { messages } = page as { messages: { data: string }[] };
    expect(messages.map(({ data }) => JSON.parse(data) as unknown)).toMatchObject([
      { user_id: "bob", amount: 500.01 },
      { user_id: "ann", amount: 500.01 },
    ]);
  });
});
