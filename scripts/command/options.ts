/**
 * Options of a command as a table: its help text, the reading of the arguments, and the values that commands share.
 * @module
 */
import { parseArgs } from "node:util";
import { parseAge } from "../../src/core/duration.ts";

/** What the arguments say. */
export type ParsedOptions<Options> =
  | { readonly kind: "run"; readonly options: Options }
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "wrong"; readonly errors: readonly string[] };

/** One option. */
export interface OptionSpec {
  /** What stands for the value in the help text; without it the option is a switch. */
  readonly value?: string;
  /** The environment variable of the same meaning; 1 or 0 for a switch. */
  readonly env?: string;
  readonly meaning: string;
}

/** All options of a command, `help` among them. */
export type OptionSpecs<Name extends string> = Readonly<Record<Name | "help", OptionSpec>>;

/** What was given: texts, and true for switches. */
export type OptionValues = Readonly<Record<string, string | boolean | undefined>>;

/** Environment variables. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A line for each option, in the order of the table. */
export const optionLines = (specs: Readonly<Record<string, OptionSpec>>): string => {
  const rows = Object.entries(specs).map(
    ([name, { value, env, meaning }]) =>
      [
        `--${name}${value === undefined ? "" : ` ${value}`}`,
        `${meaning}${env === undefined ? "" : `; ${env}`}`,
      ] as const,
  );
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`).join("");
};

/** Reads the arguments; all that is wrong is said at once. @param read makes options of the values */
export const parseCommandLine = <Options>(
  argv: readonly string[],
  { specs, help }: { readonly specs: Readonly<Record<string, OptionSpec>>; readonly help: () => string },
  read: (values: OptionValues) => { readonly options: Options; readonly errors: readonly string[] },
): ParsedOptions<Options> => {
  const types = Object.entries(specs).map(
    ([name, { value }]) => [name, { type: value === undefined ? "boolean" : "string" } as const] as const,
  );
  let values: OptionValues;
  try {
    values = parseArgs({ args: [...argv], allowPositionals: false, options: Object.fromEntries(types) }).values;
  } catch (error) {
    return { kind: "wrong", errors: [error instanceof Error ? error.message : String(error)] };
  }
  if (values["help"] === true) return { kind: "help", text: help() };
  const { options, errors } = read(values);
  return errors.length > 0 ? { kind: "wrong", errors } : { kind: "run", options };
};

/** Reads values and collects what is wrong with them. */
export class OptionReader<Name extends string> {
  readonly errors: string[] = [];

  constructor(
    private readonly specs: OptionSpecs<Name>,
    protected readonly values: OptionValues,
    protected readonly env: Environment = {},
  ) {}

  /** As it was given; flags win over the environment. */
  text(name: Name): string | undefined {
    const value = this.values[name];
    return typeof value === "string" ? value : this.#fromEnvironment(name);
  }

  /** Whether a switch is on. */
  on(name: Name): boolean {
    if (this.values[name] === true) return true;
    const raw = this.#fromEnvironment(name);
    if (raw === undefined || raw === "0") return false;
    if (raw !== "1") this.wrong(`${this.specs[name].env ?? name} must be 1 or 0`);
    return true;
  }

  wrong(text: string): void {
    this.errors.push(text);
  }

  integer<T>(name: Name, min: number, max: number, otherwise: T): number | T {
    const text = this.text(name);
    if (text === undefined) return otherwise;
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    this.wrong(`--${name} must be a whole number from ${min} to ${max}`);
    return otherwise;
  }

  durationMs(name: Name, otherwise: number): number {
    const text = this.text(name);
    if (text === undefined) return otherwise;
    const ms = parseAge(text);
    if (ms !== undefined) return ms;
    this.wrong(`--${name} must be a time such as 500ms, 10s or 5m`);
    return otherwise;
  }

  /** `http://HOST:PORT`, without the slash at its end. */
  serverUrl<T>(name: Name, otherwise: T): string | T {
    const text = this.text(name);
    if (text === undefined) return otherwise;
    if (/^https?:\/\/[^/?#]+\/?$/.test(text) && URL.canParse(text)) return text.replace(/\/$/, "");
    this.wrong(`--${name} must be like http://HOST:PORT, without a path`);
    return otherwise;
  }

  #fromEnvironment(name: Name): string | undefined {
    const { env } = this.specs[name];
    const raw = env === undefined ? undefined : this.env[env];
    return raw === "" ? undefined : raw;
  }
}
