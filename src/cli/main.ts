#!/usr/bin/env bun
/**
 * The command line `minitoolstream`: finds the command, runs it, turns what it throws into a sentence and an exit code.
 * @module
 */
import { MtsError } from "../client/index.ts";
import { serverVersion } from "../config.ts";
import { CliFailure, type Command, UsageError } from "./command.ts";
import { commands, serveCommand } from "./commands.ts";
import { commandHelp, overview } from "./help.ts";
import { type Io, interruptedCode, processIo, ReaderGoneError } from "./io.ts";
import { parseCommandLine } from "./options.ts";

/** A command and the words behind it; words in front of it (`--url URL`) are put behind it. */
const split = (argv: readonly string[]): { readonly name: string | undefined; readonly words: readonly string[] } => {
  const front: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? "";
    if (!word.startsWith("-")) return { name: word, words: [...argv.slice(i + 1), ...front] };
    front.push(word);
    if (word === "--url") front.push(argv[++i] ?? "");
  }
  return { name: undefined, words: front };
};

const run = async (argv: readonly string[], io: Io): Promise<number> => {
  const { name, words } = split(argv);
  if (name === undefined || name === "help") {
    if (words.includes("--version")) {
      await io.stdout.write(`${serverVersion}\n`);
      return 0;
    }
    const asked = commands.find((command) => command.name === words[0]);
    if (asked !== undefined) return help(asked, io);
    if (name === "help" || words.includes("--help") || words.includes("-h")) {
      await io.stdout.write(overview(serverVersion, [serveCommand, ...commands]));
      return 0;
    }
    throw new UsageError(words.length === 0 ? "which command?" : `no such option: ${words[0] ?? ""}`);
  }
  const command = commands.find((candidate) => candidate.name === name);
  if (command === undefined) throw new UsageError(`no such command: ${JSON.stringify(name)}`);
  const given = parseCommandLine(command, words);
  return given.flag("help") ? help(command, io) : command.run(given, io);
};

const help = async (command: Command, io: Io): Promise<number> => {
  await io.stdout.write(commandHelp(command));
  return 0;
};

/** The exit code of what was thrown, after saying what it is. */
const explain = (thrown: unknown, argv: readonly string[], io: Io): number => {
  if (thrown instanceof ReaderGoneError) return 0;
  if (thrown instanceof UsageError) {
    const { name } = split(argv);
    const known = commands.some((command) => command.name === name);
    io.stderr(`minitoolstream: ${thrown.message}\nTry minitoolstream ${known ? `${name ?? ""} ` : ""}--help\n`);
    return 2;
  }
  if (io.stop.aborted) return interruptedCode;
  if (thrown instanceof MtsError) io.stderr(`minitoolstream: ${thrown.message} (${thrown.code})\n`);
  else if (thrown instanceof CliFailure) io.stderr(`minitoolstream: ${thrown.message}\n`);
  else io.stderr(`minitoolstream: ${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
  return 1;
};

const main = async (argv: readonly string[]): Promise<void> => {
  if (argv[0] === serveCommand.name) return serveCommand.runProcess(argv.slice(1));
  if (argv[0] === "help" && argv[1] === serveCommand.name) return serveCommand.runProcess(["--help"]);
  const io = processIo();
  let code: number;
  try {
    code = await run(argv, io);
    await io.stdout.flush();
  } catch (thrown) {
    code = explain(thrown, argv, io);
    await io.stdout.flush().catch(() => undefined);
  }
  // Standard input may still be open, and would keep the process waiting.
  process.exit(code);
};

if (import.meta.main) await main(Bun.argv.slice(2));
