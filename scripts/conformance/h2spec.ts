/**
 * h2spec against the gRPC port and against a bare HTTP/2 server of the same runtime, case by case: what the bare one
 * passes, the gRPC port must pass. It needs Go; the tool is built into `.cache/h2spec`, in the version of h2spec/go.mod.
 * Exit code 0: the gRPC port is no worse.
 * @module
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommand } from "../command/main.ts";
import { optionLines, type ParsedOptions, parseCommandLine } from "../command/options.ts";
import { type RunningChild, runTool, startChild } from "./child.ts";

const here = import.meta.dir;
const cache = join(here, "..", "..", ".cache", "h2spec");
const binary = join(cache, "h2spec");

const specs = { help: { meaning: "this text" } };

const help = (): string => `Usage: bun scripts/conformance/h2spec.ts

Runs h2spec against the gRPC port and against a bare HTTP/2 server of the same runtime, and names where they differ.

${optionLines(specs)}
Exit code: 0 the gRPC port is no worse; 1 it is, or the run broke off; 2 wrong options.
`;

const parse = (argv: readonly string[]): ParsedOptions<undefined> =>
  parseCommandLine(argv, { specs, help }, () => ({ options: undefined, errors: [] }));

/** Cases by name; true = passed, undefined = skipped. */
type Results = ReadonlyMap<string, boolean | undefined>;

/** @throws Error when it cannot be built */
const build = async (): Promise<void> => {
  if (await Bun.file(binary).exists()) return;
  await mkdir(cache, { recursive: true });
  const command = ["go", "build", "-o", binary, "github.com/summerwind/h2spec/cmd/h2spec"];
  if ((await runTool(command, { cwd: join(here, "h2spec") })) !== 0) throw new Error("h2spec could not be built");
};

const attributeOf = (tag: string, name: string): string => new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1] ?? "";

/** Reads the report; it has a form of its own that no library is needed for. */
const parseReport = (xml: string): Results => {
  const cases = xml.matchAll(/<testcase\b([^>]*)>([\s\S]*?)<\/testcase>/g);
  return new Map(
    [...cases].map(([, head = "", body = ""]) => {
      const name = `${attributeOf(head, "package")} ${attributeOf(head, "classname")}`;
      return [name, body.includes("<skipped") ? undefined : !/<(?:failure|error)\b/.test(body)];
    }),
  );
};

const examine = async (name: string, { address, stop }: RunningChild, path: string): Promise<Results> => {
  try {
    const report = join(cache, `${name}.xml`);
    await rm(report, { force: true });
    const port = new URL(address).port;
    await runTool([binary, "-h", "127.0.0.1", "-p", port, "-P", path, "-o", "2", "-j", report], {
      cwd: cache,
      quiet: true,
    });
    return parseReport(await Bun.file(report).text());
  } finally {
    await stop();
  }
};

const count = (results: Results, outcome: boolean | undefined): number =>
  [...results.values()].filter((result) => result === outcome).length;

const summary = (name: string, results: Results): string =>
  `${name}: ${results.size} cases, ${count(results, true)} passed, ${count(results, false)} failed, ` +
  `${count(results, undefined)} skipped\n`;

const main = async (): Promise<number> => {
  await build();
  const bare = await examine(
    "bare",
    await startChild([process.execPath, join(here, "bare-http2.ts")], /^(http:\/\/\S+)$/m),
    "/",
  );
  const dataDir = await mkdtemp(join(tmpdir(), "mts-h2spec-"));
  const command = [process.execPath, join(here, "..", "..", "src", "main.ts"), "--http-port", "0", "--grpc-port", "0"];
  const server = await startChild([...command, "--data-dir", dataDir], /^(grpc:\/\/\S+)$/m, { MTS_LOG: "warn" });
  const grpc = await examine("grpc", server, "/grpc.health.v1.Health/Check");
  await rm(dataDir, { recursive: true, force: true });
  process.stdout.write(summary("bare node:http2", bare) + summary("gRPC port", grpc));
  const lines: string[] = [];
  let worse = 0;
  for (const [name, passed] of bare) {
    if (passed === grpc.get(name)) continue;
    const there = grpc.get(name);
    if (there === false) worse++;
    lines.push(`${there === undefined ? "not tried" : there ? "better" : "worse"}: ${name}`);
  }
  process.stdout.write(lines.map((line) => `${line}\n`).join(""));
  for (const [name, passed] of grpc) if (passed === false) process.stdout.write(`failed on the gRPC port: ${name}\n`);
  return worse === 0 && grpc.size > 0 && grpc.size === bare.size ? 0 : 1;
};

if (import.meta.main) process.exit(await runCommand("h2spec", parse(Bun.argv.slice(2)), main));
