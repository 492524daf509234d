#!/usr/bin/env bun
/**
 * The command line `minitoolstream`: finds the command, runs it, turns what it throws into a sentence and an exit code.
 * @module
 */
import { MtsError } from "../client/index.ts";
import { serverVersion } from "../config.ts";
import { CliFailure, type Command, UsageError } from "./command.ts";
import { commands, commandsUnder, findCommand, serveCommand } from "./commands.ts";
import { commandHelp, overview } from "./help.ts";
import { type Io, interruptedCode, processIo, ReaderGoneError } from "./io.ts";
import { parseCommandLine } from "./options.ts";

/** Options that may stand in front of the command, with their value. */
const frontOptions: readonly string[] = ["--url", "--token-file"];

/** A command and the words behind it; words in front of it (`--url URL`) are put behind it. */
const split = (argv: readonly string[]): { readonly name: string | undefined; readonly words: readonly string[] } => {
  const front: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? "";
    if (!word.startsWith("-")) return { name: word, words: [...argv.slice(i + 1), ...front] };
    front.push(word);
    if (frontOptions.includes(word)) front.push(argv[++i] ?? "");
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
    const asked = findCommand(words[0] ?? "", words.slice(1))?.command;
    if (asked !== undefined) return help(asked, io);
    const group = commandsUnder(words[0] ?? "");
    if (group.length > 0) return helpOfAll(group, io);
    if (name === "help" || words.includes("--help") || words.includes("-h")) {
      await io.stdout.write(overview(serverVersion, [serveCommand, ...commands]));
      return 0;
    }
    throw new UsageError(words.length === 0 ? "which command?" : `no such option: ${words[0] ?? ""}`);
  }
  const found = findCommand(name, words);
  if (found === undefined) return runGroup(name, words, io);
  const { command } = found;
  const given = parseCommandLine(command, found.words);
  return given.flag("help") ? help(command, io) : command.run(given, io);
};

/** The first word of several commands, or of none. */
const runGroup = async (name: string, words: readonly string[], io: Io): Promise<number> => {
  const group = commandsUnder(name);
  if (group.length === 0) throw new UsageError(`no such command: ${JSON.stringify(name)}`);
  if (words.includes("--help") || words.includes("-h")) return helpOfAll(group, io);
  throw new UsageError(`which of ${group.map((command) => command.name).join(", ")}?`);
};

const helpOfAll = async (group: readonly Command[], io: Io): Promise<number> => {
  await io.stdout.write(group.map(commandHelp).join("\n"));
  return 0;
};

const help = async (command: Command, io: Io): Promise<number> => {
  await io.stdout.write(commandHelp(command));
  return 0;
};

/** Where another token would help. */
const hintOf = ({ code }: MtsError): string =>
  code === "unauthenticated" || code === "token_expired" ? "; give a valid token with --token-file or MTS_TOKEN" : "";

/** The exit code of what was thrown, after saying what it is. */
const explain = (thrown: unknown, argv: readonly string[], io: Io): number => {
  if (thrown instanceof ReaderGoneError) return 0;
  if (thrown instanceof UsageError) {
    const { name = "", words } = split(argv);
    const known = findCommand(name, words)?.command.name ?? (commandsUnder(name).length > 0 ? name : undefined);
    io.stderr(
      `minitoolstream: ${thrown.message}\nTry minitoolstream ${known === undefined ? "" : `${known} `}--help\n`,
    );
    return 2;
  }
  if (io.stop.aborted) return interruptedCode;
  if (thrown instanceof MtsError) io.stderr(`minitoolstream: ${thrown.message} (${thrown.code})${hintOf(thrown)}\n`);
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
