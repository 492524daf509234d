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
];
