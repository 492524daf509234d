/**
 * Help texts, made from the table of commands.
 * @module
 */
import type { Command, OptionSpec, ProcessCommand } from "./command.ts";
import { optionsOf, tokenFileOption, urlOption } from "./options.ts";

/** The list of all commands. */
export const overview = (version: string, commands: readonly (Command | ProcessCommand)[]): string =>
  [
    `MiniToolStream ${version}: publish, subscribe to and look after message streams`,
    "",
    "Usage: minitoolstream [--url URL] [--token-file FILE] COMMAND [OPTION]...",
    "",
    "Commands:",
    ...columns(commands.map(({ name, summary }) => [name, summary])),
    "",
    "Options:",
    ...columns([
      optionLine(["url", urlOption]),
      optionLine(["token-file", tokenFileOption]),
      ["--help, -h", "print this text; after a command, its own"],
      ["--version", "print the version"],
    ]),
    "",
    "Exit codes: 0 done, 1 failed, 2 wrong usage.",
    "",
  ].join("\n");

/** All about one command. */
export const commandHelp = (command: Command): string =>
  [
    `Usage: minitoolstream ${command.name} ${command.usage}`.trimEnd(),
    "",
    `${command.summary[0]?.toUpperCase() ?? ""}${command.summary.slice(1)}.`,
    ...(command.details === undefined ? [] : ["", command.details.trim()]),
    "",
    "Options:",
    ...columns(Object.entries(optionsOf(command)).map(optionLine)),
    "",
  ].join("\n");

const optionLine = ([name, { placeholder, meaning }]: readonly [string, OptionSpec]): readonly [string, string] => [
  `--${name}${name === "help" ? ", -h" : ""}${placeholder === undefined ? "" : ` ${placeholder}`}`,
  meaning,
];

const columns = (lines: readonly (readonly [string, string])[]): readonly string[] => {
  const width = Math.max(...lines.map(([left]) => left.length));
  return lines.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
};
