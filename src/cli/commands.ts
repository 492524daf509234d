/**
 * All commands, in the order of the help.
 * @module
 */
import { ackCommand } from "./ack.ts";
import type { Command, ProcessCommand } from "./command.ts";
import { doctorCommand } from "./doctor/index.ts";
import { fetchCommand } from "./fetch.ts";
import { infoCommand } from "./info.ts";
import { publishCommand } from "./publish/index.ts";
import { subjectsCommand } from "./subjects.ts";
import { subscribeCommand } from "./subscribe.ts";
import { sweepCommand } from "./sweep.ts";
import { tokenCommands } from "./token/index.ts";

/** The server; its flags are all of its settings. */
export const serveCommand: ProcessCommand = {
  name: "serve",
  summary: "run the server",
  runProcess: async (words) => {
    // Everything that a server is made of takes a moment to load, which the other commands need not wait for.
    const { runProcess } = await import("../main.ts");
    await runProcess(words);
  },
};

/** The others. */
export const commands: readonly Command[] = [
  publishCommand,
  subscribeCommand,
  fetchCommand,
  ackCommand,
  subjectsCommand,
  infoCommand,
  doctorCommand,
  sweepCommand,
  ...tokenCommands,
];

/** A command and the words behind its name. */
export interface FoundCommand {
  readonly command: Command;
  readonly words: readonly string[];
}

/** The command of a name, which may be the first word behind it too (`token create`); undefined when there is none. */
export const findCommand = (name: string, words: readonly string[]): FoundCommand | undefined => {
  const [second = "", ...rest] = words;
  const pair = commands.find((command) => command.name === `${name} ${second}`);
  if (pair !== undefined) return { command: pair, words: rest };
  const command = commands.find((candidate) => candidate.name === name);
  return command && { command, words };
};

/** The commands whose first word this is; empty when it is a command itself, or none. */
export const commandsUnder = (name: string): readonly Command[] =>
  commands.filter((command) => command.name.startsWith(`${name} `));
