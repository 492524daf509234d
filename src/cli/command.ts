/**
 * What a command is, as data: its name, its options and what runs it; and the two ways in which one can fail.
 * @module
 */
import type { Io } from "./io.ts";
import type { Given } from "./options.ts";

/** One option of a command; its name is the key in `Command.options`. */
export interface OptionSpec {
  /** `flag` takes no value, `text` takes one, `texts` may be given several times. */
  readonly kind: "flag" | "text" | "texts";
  /** What the help shows in the value's place. */
  readonly placeholder?: string;
  /** One sentence for the help. */
  readonly meaning: string;
}

/** How many operands (words that are no options) a command takes. */
export interface OperandBounds {
  readonly min: number;
  readonly max: number;
}

/** A command. */
export interface Command {
  readonly name: string;
  /** The usage line behind the name. */
  readonly usage: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** What else there is to know, for the command's own help. */
  readonly details?: string;
  readonly operands: OperandBounds;
  /** It talks to no server. */
  readonly isOffline?: true;
  readonly options: Readonly<Record<string, OptionSpec>>;
  /** Resolves to the exit code. @throws UsageError, CliFailure, MtsError */
  run(given: Given, io: Io): Promise<number>;
}

/** A command that has the process to itself: its words, its signals, its exit code. */
export interface ProcessCommand {
  readonly name: string;
  readonly summary: string;
  runProcess(words: readonly string[]): Promise<void>;
}

/** The command line is wrong: exit code 2, with a hint at the help. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** The command failed: exit code 1. The message says what to do. */
export class CliFailure extends Error {
  override readonly name: string = "CliFailure";
}
