/**
 * What a body of 64 MiB costs: memory while it comes and goes, and the patience of small messages beside it.
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Throughput } from "../load-test/outcome.ts";
import { diskPeer } from "./disk.ts";
import { latencyMs, published, runLoad } from "./load.ts";
import { resetPeak, residentOf } from "./memory.ts";
import type { Bench, Reading, Scenario } from "./scenario.ts";
import { BenchServer, withServer } from "./server.ts";
import { downloadHttp, largeBody, largeBytes, uploadHttp, WsUploader } from "./upload.ts";

const subject = "large";

/** How much memory something takes at its peak, in sizes of the body. */
const growth = async ({ pid }: BenchServer, act: () => Promise<void>): Promise<Reading> => {
  resetPeak(pid);
  const before = residentOf(pid).total;
  const beganMs = performance.now();
  await act();
  const tookMs = performance.now() - beganMs;
  const { peak } = residentOf(pid);
  const details = { before_mb: before / 1e6, peak_mb: peak / 1e6, took_ms: tookMs };
  return { value: (peak - before) / largeBytes, details };
};

const memory: Scenario = {
  name: "large",
  rows: [
    {
      id: "http",
      title: "a body of 64 MiB published over HTTP: growth of RSS in sizes",
      unit: "x",
      target: { atMost: 3 },
    },
    { id: "fetch", title: "the same fetched over HTTP", unit: "x", target: { atMost: 3 } },
    { id: "ws", title: "the same published over ws", unit: "x", target: { atMost: 3 } },
  ],
  async measure({ folder }) {
    const dataDir = await mkdtemp(join(folder, "large-"));
    /** A process of its own for each: what one leaves behind would hide what the next takes. */
    const fresh = async (act: (server: BenchServer) => Promise<Reading>): Promise<Reading> => {
      await using server = await BenchServer.on(dataDir);
      await uploadHttp(server.url, "small", new Uint8Array(1));
      return await act(server);
    };
    const http = await fresh((server) => growth(server, () => uploadHttp(server.url, subject, largeBody())));
    const fetched = await fresh((server) => growth(server, () => downloadAll(server.url)));
    const ws = await fresh(async (server) => {
      const uploader = await WsUploader.connect(server.url);
      const reading = await growth(server, () => uploader.publish(subject, largeBody()));
      uploader.close();
      return reading;
    });
    await rm(dataDir, { recursive: true, force: true });
    return { http, fetch: fetched, ws };
  },
};

const downloadAll = async (url: string): Promise<void> => {
  const bytes = await downloadHttp(url, subject, 1);
  if (bytes !== largeBytes) throw new Error(`${bytes} bytes came back instead of ${largeBytes}`);
};

/** 200 small messages a second, while something else happens. */
const smallMessages = async (url: string, { quick }: Bench): Promise<Throughput> =>
  published(
    await runLoad({ url, rate: 200, size: "100B", subscribers: 0, warmup: "1s", duration: quick ? "3s" : "10s" }),
  );

const holdsBack = (
  id: string,
  over: string,
  uploaderOf: (url: string) => Promise<{ upload(): Promise<void>; close(): void }>,
): Scenario => ({
  name: id,
  rows: [
    {
      id,
      title: `small messages at 200/s beside uploads of 64 MiB over ${over}: their max, above their usual max`,
      unit: "ms",
      target: { atMost: 20 },
    },
  ],
  measure: (bench) =>
    withServer(bench.folder, async (server) => {
      const usual = await smallMessages(server.url, bench);
      const uploader = await uploaderOf(server.url);
      const finished = new AbortController();
      let uploads = 0;
      // One after the other until the small messages are through: at any moment of theirs one is under way.
      const uploading = (async () => {
        while (!finished.signal.aborted) {
          await uploader.upload();
          uploads++;
        }
      })();
      const beside = await Promise.race([
        smallMessages(server.url, bench),
        uploading.then(() => Promise.reject(new Error("the uploads ended by themselves"))),
      ]);
      finished.abort();
      await uploading;
      uploader.close();
      return { [id]: heldBack(usual, beside, uploads) };
    }),
  peer: diskPeer(id),
});

const heldBack = (usual: Throughput, beside: Throughput, uploads: number): Reading => ({
  value: latencyMs(beside, "max") - latencyMs(usual, "max"),
  details: {
    usual_p99_ms: latencyMs(usual, "p99"),
    usual_max_ms: latencyMs(usual, "max"),
    beside_p50_ms: latencyMs(beside, "p50"),
    beside_p99_ms: latencyMs(beside, "p99"),
    beside_max_ms: latencyMs(beside, "max"),
    uploads,
  },
});

const overHttp = holdsBack("held-http", "HTTP", (url) =>
  Promise.resolve({ upload: () => uploadHttp(url, subject, largeBody()), close: () => undefined }),
);

const overWs = holdsBack("held-ws", "ws", async (url) => {
  const uploader = await WsUploader.connect(url);
  return { upload: () => uploader.publish(subject, largeBody()), close: () => uploader.close() };
});

/** In the order of the table. */
export const largeScenarios: readonly Scenario[] = [memory, overHttp, overWs];
