/**
 * The SDK as others get it: bundled for a browser it is small and asks for nothing of Bun or Node, and the same bytes
 * run in Node.
 * @module
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { useTestServer } from "../testing/server.ts";

const bundleBytesMax = 25_000;
const node = Bun.which("node");

const server = useTestServer();
let folder: string;
let bundle: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "mts-sdk-"));
  const built = await Bun.build({
    entrypoints: [join(import.meta.dir, "index.ts")],
    target: "browser",
    minify: true,
  });
  bundle = (await built.outputs[0]?.text()) ?? "";
  await Bun.write(join(folder, "mts.mjs"), bundle);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test("the bundle is small and stands alone", () => {
  expect(bundle).toContain("mts.msgpack.v1");
  expect(Buffer.byteLength(bundle)).toBeLessThan(bundleBytesMax);
  expect(bundle).not.toMatch(/\bimport\b|\brequire\b|["'`](?:node|bun):|\bBuffer\b|\bBun\b|\bprocess\b/);
});

/** Runs a module beside the bundle and answers what it wrote. */
const run = async (flags: readonly string[], script: string): Promise<string> => {
  if (node === null) throw new Error("there is no node");
  const path = join(folder, "script.mjs");
  await Bun.write(path, script);
  const child = Bun.spawn([node, ...flags, path, server().url], { stdout: "pipe", stderr: "pipe" });
  const [output, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  if ((await child.exited) !== 0) throw new Error(errors);
  return output.trim();
};

describe.skipIf(node === null)("in Node (skipped where there is none)", () => {
  test("publishes, subscribes, fetches and ends by itself", async () => {
    const script = `
      import { connect } from "./mts.mjs";
      const mts = connect(process.argv[2]);
      const subscription = mts.subscribe("node.*");
      await subscription.ready;
      await Promise.all(["a", "b"].map((lane) => mts.publish("node." + lane, { lane })));
      const lanes = [];
      for await (const message of subscription) if (lanes.push(message.json().lane) === 2) break;
      const error = await mts.publish("not a subject", new Uint8Array(3)).catch((error) => error.code);
      const page = await mts.fetch({ subject: "node.a", consumer: "c" });
      await page.messages[0].ack();
      const { ackedThrough } = await mts.consumer("node.a", "c");
      await mts.close();
      console.log(JSON.stringify([lanes.sort(), error, ackedThrough]));
    `;
    // Node 20 has a WebSocket behind this flag; later ones have it and know the flag.
    const output = await run(["--experimental-websocket", "--no-warnings"], script);
    expect(JSON.parse(output)).toEqual([["a", "b"], "invalid_subject", 1]);
  });

  test("says what is missing where there is no WebSocket", async () => {
    const script = `
      import { connect } from "./mts.mjs";
      delete globalThis.WebSocket;
      try { connect(process.argv[2]); } catch (error) { console.log(error.code); }
    `;
    expect(await run([], script)).toBe("no_websocket");
  });
});
