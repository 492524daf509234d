/**
 * Reads the words of a command line into what was given, with the types that commands ask for. Everything that is
 * wrong is a `UsageError` that names the option.
 * @module
 */
import { type ParseArgsConfig, parseArgs } from "node:util";
import { parseAge } from "../core/duration.ts";
import { StreamError } from "../core/errors.ts";
import { parseStartPosition } from "../core/start.ts";
import { type Command, type OptionSpec, UsageError } from "./command.ts";

/** Which server. */
export const urlOption: OptionSpec = {
  kind: "text",
  placeholder: "URL",
  meaning: "the server; default http://127.0.0.1:8000, or what MINITOOLSTREAM_URL says",
};

/** Who asks. There is no option for the token itself: every user of the machine can read a running command's words. */
export const tokenFileOption: OptionSpec = {
  kind: "text",
  placeholder: "FILE",
  meaning: "file with the token, where the server asks for one; default what MTS_TOKEN says",
};

/** All options of a command, with those that every one has. */
export const optionsOf = ({ options, isOffline }: Command): Readonly<Record<string, OptionSpec>> => ({
  ...options,
  ...(isOffline !== true && { url: urlOption, "token-file": tokenFileOption }),
  help: { kind: "flag", meaning: "print this text and end" },
});

type Values = Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;

/** What was given: operands in order, options by name. */
export class Given {
  readonly operands: readonly string[];
  readonly #values: Values;

  constructor(operands: readonly string[], values: Values) {
    this.operands = operands;
    this.#values = values;
  }

  /** The operand at a place that `OperandBounds.min` promises. */
  operand(index: number): string {
    const operand = this.operands[index];
    if (operand === undefined) throw new UsageError(`operand ${index + 1} is missing`);
    return operand;
  }

  flag(name: string): boolean {
    return this.#values[name] === true;
  }

  text(name: string): string | undefined {
    const value = this.#values[name];
    if (value === "") throw new UsageError(`--${name} needs a value`);
    return typeof value === "string" ? value : undefined;
  }

  texts(name: string): readonly string[] {
    const value = this.#values[name];
    return Array.isArray(value) ? value.filter((entry) => typeof entry === "string") : [];
  }

  /** A whole number within bounds. */
  integer(name: string, min: number, max: number): number | undefined {
    const raw = this.text(name);
    return raw === undefined ? undefined : parseInteger(`--${name}`, raw, min, max);
  }

  /** A duration such as `10s`, in milliseconds. */
  durationMs(name: string): number | undefined {
    const raw = this.text(name);
    if (raw === undefined) return undefined;
    const ms = parseAge(raw);
    if (ms === undefined) throw new UsageError(`--${name} must be a duration such as 10s (ms s m h d w)`);
    return ms;
  }

  /** `--from`: a sequence as a number, else the text, which the server reads the same way. */
  from(): number | string | undefined {
    const raw = this.text("from");
    if (raw === undefined) return undefined;
    try {
      const start = parseStartPosition(raw, "--from");
      return start.kind === "sequence" ? start.sequence : raw;
    } catch (thrown) {
      throw thrown instanceof StreamError ? new UsageError(thrown.message) : thrown;
    }
  }
}

/** @throws UsageError */
export const parseInteger = (what: string, raw: string, min: number, max: number): number => {
  const value = /^\d{1,16}$/.test(raw) ? Number(raw) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new UsageError(`${what} must be a whole number from ${min} to ${max}`);
};

/** @throws UsageError */
export const parseCommandLine = (command: Command, words: readonly string[]): Given => {
  const { values, positionals } = parse(command, words);
  const given = new Given(positionals, values);
  const { min, max } = command.operands;
  // Asking for help is right whatever else is missing.
  if (given.flag("help")) return given;
  if (positionals.length < min) throw new UsageError(`${command.name} needs more: ${command.usage}`);
  if (positionals.length > max) throw new UsageError(`${command.name} takes no ${quoted(positionals[max])}`);
  return given;
};

const quoted = (word: string | undefined): string => JSON.stringify(word ?? "");

const parse = (command: Command, words: readonly string[]) => {
  const options: NonNullable<ParseArgsConfig["options"]> = {};
  for (const [name, { kind }] of Object.entries(optionsOf(command))) {
    options[name] =
      kind === "flag" ? { type: "boolean" } : { type: "string", ...(kind === "texts" && { multiple: true }) };
  }
  options["help"] = { type: "boolean", short: "h" };
  if (options["token"] === undefined && words.some((word) => /^--token(?:=|$)/.test(word))) throw tokenInWords();
  try {
    return parseArgs({ args: [...words], options, allowPositionals: true, strict: true });
  } catch (thrown) {
    const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
    if (typeof code !== "string" || !code.startsWith("ERR_PARSE_ARGS_")) throw thrown;
    throw new UsageError(thrown instanceof Error ? firstSentence(thrown.message) : "the options cannot be read");
  }
};

/** The token is not repeated. */
const tokenInWords = (): UsageError =>
  new UsageError("there is no --token: others could read it in the list of processes; use --token-file or MTS_TOKEN");

/** Node explains at length how to escape; the usage line says it better. */
const firstSentence = (text: string): string => text.replace(/\. .*$/s, "").replace(/\n.*$/s, "");
