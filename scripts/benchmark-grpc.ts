/**
 * How fast gRPC is: a Go client, which needs less of the machine than one in JavaScript, publishes with 1, 64 and 256
 * callers and fetches what was published. Needs Go; the client is built into `.cache`. One line of figures a run.
 *
 *     bun scripts/benchmark-grpc.ts [--seconds 5] [--size 1024]
 * @module
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runTool, startChild } from "./conformance/child.ts";

const root = join(import.meta.dir, "..");
const binary = join(root, ".cache", "benchmark-grpc", "client");

/** What the client prints. */
interface Figures {
  readonly messages: number;
  readonly per_second: number;
  readonly p50_ms?: number;
  readonly p99_ms?: number;
  readonly first_error?: string;
}

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "5" }, size: { type: "string", default: "1024" } },
});

const measure = async (address: string, flags: readonly string[]): Promise<Figures> => {
  const child = Bun.spawn([binary, "-address", address, ...flags], { stdio: ["ignore", "pipe", "inherit"] });
  const figures = (await new Response(child.stdout).json()) as Figures;
  if ((await child.exited) !== 0) throw new Error(`the client failed: ${figures.first_error ?? "no reason"}`);
  return figures;
};

const show = (name: string, { messages, per_second: perSecond, p50_ms: p50, p99_ms: p99 }: Figures): void => {
  const latency = p50 === undefined ? "" : `  p50 ${p50.toFixed(2)} ms  p99 ${p99?.toFixed(2)} ms`;
  process.stdout.write(`${name.padEnd(34)}${Math.round(perSecond).toLocaleString("en").padStart(9)}/s${latency}`);
  process.stdout.write(`  (${messages.toLocaleString("en")} messages)\n`);
};

const main = async (): Promise<void> => {
  await mkdir(join(binary, ".."), { recursive: true });
  const sources = join(import.meta.dir, "benchmark", "grpc-go");
  if ((await runTool(["go", "build", "-o", binary, "."], { cwd: sources })) !== 0) {
    throw new Error("the client could not be built; it needs Go (https://go.dev/dl)");
  }
  const dataDir = await mkdtemp(join(tmpdir(), "mts-benchmark-grpc-"));
  const command = [process.execPath, join(root, "src", "main.ts"), "--http-port", "0", "--data-dir", dataDir];
  const server = await startChild(command, /^grpc:\/\/(\S+)\n/m, { MTS_GRPC_PORT: "0", MTS_LOG: "warn" });
  try {
    const publish = (callers: number, subject: string): Promise<Figures> => {
      const flags = ["-callers", String(callers), "-connections", String(Math.ceil(callers / 64)), "-subject", subject];
      return measure(server.address, [...flags, "-seconds", values.seconds, "-size", values.size]);
    };
    await publish(64, "warm-up");
    for (const callers of [1, 64, 256]) show(`Publish, ${callers} callers`, await publish(callers, `bench.${callers}`));
    for (const batch of [1000, 100]) {
      const flags = ["-mode", "fetch", "-subject", "bench.64", "-durable", `batch-${batch}`, "-batch", String(batch)];
      show(`Fetch and AckMessage, batches of ${batch}`, await measure(server.address, [...flags, "-count", "60000"]));
    }
  } finally {
    await server.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
};

await main();
