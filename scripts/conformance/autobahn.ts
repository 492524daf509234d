/**
 * The Autobahn fuzzing client against an echo server on the socket options of the product. It needs Python 2.7
 * (`python2.7` on the path, pyenv's 2.7.18, or `--python FILE`); its packages land in `.cache/autobahn`, in the versions
 * of autobahn.requirements.txt. Exit code 0: no case failed.
 * @module
 */
import { existsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { runCommand } from "../command/main.ts";
import { optionLines, type ParsedOptions, parseCommandLine } from "../command/options.ts";
import { runTool, startChild } from "./child.ts";

const here = import.meta.dir;
const cache = join(here, "..", "..", ".cache", "autobahn");
const packages = join(cache, "packages");
const agent = "minitoolstream";
/** Results that are no failure: what the protocol leaves open, and compression, which the server does not offer. */
const harmless: ReadonlySet<string> = new Set(["OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED"]);

const specs = {
  python: { value: "FILE", meaning: "Python 2.7 (default: pyenv's 2.7.18, or python2.7 on the path)" },
  help: { meaning: "this text" },
};

const help = (): string => `Usage: bun scripts/conformance/autobahn.ts [options]

Runs the Autobahn test suite against an echo server on the socket options of the product, and names the cases that fail.

${optionLines(specs)}
Exit code: 0 no case failed; 1 one did, or the suite broke off; 2 wrong options, or no Python 2.7.
`;

interface Options {
  readonly python: string | undefined;
}

const parse = (argv: readonly string[]): ParsedOptions<Options> =>
  parseCommandLine(argv, { specs, help }, ({ python }) => ({
    options: { python: typeof python === "string" ? python : undefined },
    errors: [],
  }));

interface CaseResult {
  readonly behavior: string;
  readonly behaviorClose: string;
}

const pythonOf = (given: string | undefined): string | undefined => {
  const pyenv = join(process.env["PYENV_ROOT"] ?? join(homedir(), ".pyenv"), "versions", "2.7.18", "bin", "python");
  return given ?? (existsSync(pyenv) ? pyenv : (Bun.which("python2.7") ?? undefined));
};

/** @throws Error when the packages cannot be had */
const install = async (python: string): Promise<void> => {
  const requirements = join(here, "autobahn.requirements.txt");
  const stamp = Bun.file(join(cache, "installed"));
  const wanted = await Bun.file(requirements).text();
  if ((await stamp.exists()) && (await stamp.text()) === wanted) return;
  await rm(cache, { recursive: true, force: true });
  await mkdir(packages, { recursive: true });
  const pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", packages];
  if ((await runTool([...pip, "-r", requirements], { cwd: cache })) !== 0) {
    throw new Error("the packages could not be installed");
  }
  await Bun.write(stamp, wanted);
};

/** Runs the suite and answers its index. @throws Error when the client did not come to its end */
const runSuite = async (python: string): Promise<Readonly<Record<string, CaseResult>>> => {
  const echo = await startChild([process.execPath, join(here, "echo.ts")], /^(ws:\/\/\S+)$/m);
  try {
    const specification = {
      outdir: join(cache, "reports"),
      servers: [{ agent, url: echo.address }],
      cases: ["*"],
      "exclude-cases": [],
      "exclude-agent-cases": {},
    };
    const file = join(cache, "fuzzingclient.json");
    await Bun.write(file, JSON.stringify(specification));
    // As a site folder: some of the packages share a namespace that only a .pth file brings together.
    const script = `import site, sys
site.addsitedir(sys.argv.pop(1))
from autobahntestsuite.wstest import run
run()`;
    const code = await runTool([python, "-c", script, packages, "-m", "fuzzingclient", "-s", file], {
      cwd: cache,
      quiet: true,
    });
    if (code !== 0) throw new Error(`the fuzzing client ended with ${code}`);
    const index = (await Bun.file(join(cache, "reports", "index.json")).json()) as Readonly<
      Record<string, Readonly<Record<string, CaseResult>>>
    >;
    return index[agent] ?? {};
  } finally {
    await echo.stop();
  }
};

const main = async (options: Options): Promise<number> => {
  const python = pythonOf(options.python);
  if (python === undefined) {
    process.stderr.write("autobahn: needs Python 2.7: pyenv install 2.7.18, or name one with --python\n");
    return 2;
  }
  await install(python);
  const results = Object.entries(await runSuite(python));
  const counts = new Map<string, number>();
  for (const [, { behavior }] of results) counts.set(behavior, (counts.get(behavior) ?? 0) + 1);
  const failed = results.filter(
    ([, { behavior, behaviorClose }]) => !harmless.has(behavior) || !harmless.has(behaviorClose),
  );
  process.stdout.write(
    `${results.length} cases: ${[...counts].map(([name, count]) => `${count} ${name}`).join(", ")}\n`,
  );
  for (const [name, { behavior, behaviorClose }] of failed) {
    process.stdout.write(`failed: ${name}: ${behavior}, close ${behaviorClose}\n`);
  }
  return failed.length === 0 && results.length > 0 ? 0 : 1;
};

if (import.meta.main) process.exit(await runCommand("autobahn", parse(Bun.argv.slice(2)), main));
