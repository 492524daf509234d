/**
 * The log: one JSON object a line on standard error, or lines for people on a terminal. Stacks and causes appear here
 * and nowhere else; what the events mean is their callers' part.
 * @module
 */
import type { Config } from "./config-shape.ts";

/** How grave an event is. */
export type LogLevel = Exclude<Config["logLevel"], "off">;

/** What belongs to an event. `time`, `level` and `event` are the log's own and win over fields of these names. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Writes one event, named by a stable snake_case word; never throws. */
export type LogEvent = (event: string, fields?: LogFields) => void;

/** A log with one function a level. */
export type Logger = Readonly<Record<LogLevel, LogEvent>>;

/** What a log is made from. */
export interface LoggerOptions {
  /** Events below it are not written. */
  readonly level: Config["logLevel"];
  readonly format: Config["logFormat"];
  /** Takes one line with its line feed; by default standard error. */
  readonly write?: (line: string) => void;
  /** Unix milliseconds. */
  readonly now?: () => number;
  /** Colours in `pretty`; by default when standard error is a terminal and `NO_COLOR` is not set. */
  readonly colour?: boolean;
}

const levels = ["debug", "info", "warn", "error"] as const satisfies readonly LogLevel[];

/** Makes a log. */
export const createLogger = ({
  level,
  format,
  write = writeToStandardError(),
  now = Date.now,
  colour = process.stderr.isTTY && !process.env["NO_COLOR"],
}: LoggerOptions): Logger => {
  const lowest = level === "off" ? levels.length : levels.indexOf(level);
  const logAt = (at: LogLevel): LogEvent => {
    if (levels.indexOf(at) < lowest) return () => {};
    return (event, fields = {}) => {
      const time = new Date(now()).toISOString();
      write(format === "json" ? jsonLine(time, at, event, fields) : prettyLine(time, at, event, fields, colour));
    };
  };
  return { debug: logAt("debug"), info: logAt("info"), warn: logAt("warn"), error: logAt("error") };
};

const jsonLine = (time: string, level: LogLevel, event: string, fields: LogFields): string => {
  const own = { time, level, event };
  return `${JSON.stringify({ ...own, ...safeFields(fields), ...own })}\n`;
};

const colours: Readonly<Record<LogLevel, string>> = {
  debug: "\x1b[2m",
  info: "\x1b[36m",
  warn: "\x1b[33m",
  error: "\x1b[31m",
};

const prettyLine = (time: string, level: LogLevel, event: string, fields: LogFields, colour: boolean): string => {
  const paint = (code: string, text: string): string => (colour ? `${code}${text}\x1b[0m` : text);
  const stacks: string[] = [];
  const pairs = Object.entries(safeFields(fields)).map(([name, value]) => {
    stacks.push(...stacksOf(value));
    return ` ${paint("\x1b[2m", `${printable(name)}=`)}${prettyValue(value)}`;
  });
  const head = `${time.slice(11, 23)} ${paint(colours[level], level.toUpperCase().padEnd(5))} ${printable(event)}`;
  return [head + pairs.join(""), ...stacks.map((line) => paint("\x1b[2m", `    ${printable(line)}`)), ""].join("\n");
};

const prettyValue = (value: unknown): string => {
  if (isErrorRecord(value)) return printable(JSON.stringify(value.message));
  if (typeof value === "string" && /^[\w./:@%+-]+$/.test(value)) return value;
  return printable(JSON.stringify(value));
};

/** The stack of an error and of what caused it, line by line. */
const stacksOf = (value: unknown): readonly string[] =>
  isErrorRecord(value)
    ? [...(value.stack ?? "").split("\n"), ...stacksOf(value.cause)].filter((line) => line !== "")
    : [];

/** Outside text must not move the cursor of whoever reads the log. */
const printable = (text: string): string =>
  text.replace(
    /[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

/** An error as it is logged. */
interface ErrorRecord {
  readonly name: string;
  readonly message: string;
  readonly code?: unknown;
  readonly stack?: string | undefined;
  readonly cause?: unknown;
}

const errorRecords = new WeakSet<object>();

const isErrorRecord = (value: unknown): value is ErrorRecord =>
  typeof value === "object" && value !== null && errorRecords.has(value);

/** Bounds of one value: a log line is for a look, not for keeping. */
const depthMax = 6;
const entriesMax = 100;
const textCharsMax = 8192;

const safeFields = (fields: LogFields): Record<string, unknown> => safeEntries(Object.entries(fields), 0, new Set());

const safeEntries = (
  entries: readonly (readonly [string, unknown])[],
  depth: number,
  above: ReadonlySet<object>,
): Record<string, unknown> => {
  const safe = entries.slice(0, entriesMax).map(([name, value]) => [name, safeValue(value, depth, above)] as const);
  return Object.fromEntries(safe.filter(([, value]) => value !== undefined));
};

/** Anything as a plain JSON value: bounded, without cycles, no getter or `toJSON` can break the log. */
const safeValue = (value: unknown, depth: number, above: ReadonlySet<object>): unknown => {
  switch (typeof value) {
    case "string":
      return value.length > textCharsMax ? `${value.slice(0, textCharsMax)}…` : value;
    case "number":
      return Number.isFinite(value) ? value : String(value);
    case "bigint":
    case "symbol":
      return String(value);
    case "boolean":
    case "undefined":
      return value;
    case "function":
      return undefined;
    case "object":
      try {
        return value === null ? null : safeObject(value, depth, above);
      } catch {
        return "[unreadable]";
      }
  }
};

const safeObject = (value: object, depth: number, above: ReadonlySet<object>): unknown => {
  if (above.has(value)) return "[circular]";
  if (depth >= depthMax) return "[deep]";
  const within = new Set([...above, value]);
  if (value instanceof Error) return safeError(value, depth, within);
  if (value instanceof Date) return value.toISOString();
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`;
  if (value instanceof Map)
    return safeEntries(
      [...value].map(([name, entry]) => [String(name), entry]),
      depth + 1,
      within,
    );
  if (Array.isArray(value) || value instanceof Set) {
    return [...(value as Iterable<unknown>)]
      .slice(0, entriesMax)
      .map((entry) => safeValue(entry, depth + 1, within) ?? null);
  }
  return safeEntries(Object.entries(value), depth + 1, within);
};

const safeError = (error: Error, depth: number, within: ReadonlySet<object>): ErrorRecord => {
  const code = "code" in error ? safeValue(error.code, depth + 1, within) : undefined;
  const record: ErrorRecord = {
    name: error.name,
    message: String(safeValue(error.message, depth, within)),
    ...(code !== undefined && { code }),
    stack: String(safeValue(error.stack ?? "", depth, within)),
    ...(error.cause !== undefined && { cause: safeValue(error.cause, depth + 1, within) }),
  };
  errorRecords.add(record);
  return record;
};

/** Unsent characters on standard error above which lines are dropped and counted: a stuck reader must not fill the memory. */
const unsentCharsMax = 4 * 1024 * 1024;

const writeToStandardError = (): ((line: string) => void) => {
  // A reader that went away (EPIPE) ends the log, not the server.
  process.stderr.on("error", () => {});
  let unsentChars = 0;
  let dropped = 0;
  const send = (line: string): void => {
    unsentChars += line.length;
    // Counted by hand: `writableLength` of standard error stays 0 in Bun.
    process.stderr.write(line, () => {
      unsentChars -= line.length;
    });
  };
  return (line) => {
    if (unsentChars > unsentCharsMax) {
      dropped++;
      return;
    }
    if (dropped > 0) {
      send(jsonLine(new Date().toISOString(), "warn", "log_lines_dropped", { count: dropped }));
      dropped = 0;
    }
    send(line);
  };
};
