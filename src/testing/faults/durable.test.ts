/**
 * Durable, then acknowledged, then shown: a publish that is held up at any step before its commit is not answered and
 * not to be seen anywhere, and everything else goes on meanwhile.
 * @module
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { expectBytes } from "../expectations.ts";
import { HttpClient } from "../http-client.ts";
import { WsClient } from "../ws-client.ts";
import { makeFolder } from "./folder.ts";
import { markedBody } from "./load.ts";
import { type FaultPoint, heldLine } from "./plan.ts";
import { ServerProcess } from "./process.ts";

/** A case starts processes; only what hangs takes this long. */
setDefaultTimeout(30_000);

const KiB = 1024;
/** How often the server is asked about what it must not know yet. */
const looks = 25;

const points: readonly (readonly [FaultPoint, bodyBytes: number])[] = [
  ["segment.sync.before", 100],
  ["segment.sync.after", 100],
  ["segment.folder.before", 100],
  ["commit.before", 100],
  ["object.sync.before", 400 * KiB],
  ["object.rename.before", 400 * KiB],
  ["object.folder.before", 400 * KiB],
  ["commit.before", 400 * KiB],
];

describe("a publish that is not durable yet", () => {
  test.each(points)("held at %s, %d bytes: neither acknowledged nor shown", async (point, bodyBytes) => {
    await using folder = await makeFolder();
    await using server = await ServerProcess.start({
      dataDir: folder.path,
      faults: [{ point, hit: 1, act: "hold" }],
    });
    const client = await WsClient.connect(server.wsUrl);
    const http = new HttpClient(server.url);
    const subscription = await client.subscribe(">", { from: "first" });
    const body = markedBody("held", bodyBytes);
    let answered = false;
    const publishing = client.publish({ subject: "s", body }).then((receipt) => {
      answered = true;
      return receipt;
    });
    await server.wrote(heldLine(point));

    for (let look = 0; look < looks; look++) {
      await client.ping();
      expect((await http.read("s")).lastSequence).toBe(0);
      expect((await client.read("s")).messages).toEqual([]);
    }
    const listing: unknown = await (await http.call("GET", "/v1/subjects")).json();
    expect(listing).toMatchObject({ subjects: [] });
    expect(subscription.messages).toEqual([]);
    expect(answered).toBe(false);

    server.signal("SIGUSR2");
    expect(await publishing).toMatchObject({ sequence: 1, duplicate: false });
    await subscription.count(1);
    expectBytes(subscription.messages[0]?.body, body);
    await client.close();
  });
});
