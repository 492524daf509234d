/**
 * The three places a setting can come from, each read into the same shape: flags, environment, file. What the texts
 * mean is not looked at here; names that do not exist are refused here, with the name that was probably meant.
 * @module
 */
import { readFileSync } from "node:fs";
import { basename, extname, resolve } from "node:path";
import { environmentNameOf, flagOf, settingsList } from "./config-settings.ts";

/** The text of a setting and where it was found, such as `--http-port` or `minitoolstream.yaml: http_port`. */
export interface GivenText {
  readonly raw: string;
  readonly source: string;
}

/** What one source gives, by key, and what is wrong with it. */
export interface ConfigSource {
  readonly given: ReadonlyMap<string, GivenText>;
  readonly errors: readonly string[];
}

/** Names the file itself, on the command line and in the environment: `--config`, `MTS_CONFIG`. */
export const configFileKey = "config";

/** The files that are read without being asked for; more than one of them is an error. */
export const configFileNames: readonly string[] = ["minitoolstream.yaml", "minitoolstream.yml", "minitoolstream.json"];

const fileKeys = settingsList.map(({ key }) => key);
const outerKeys = [...fileKeys, configFileKey];

/** Settings whose flag may stand alone. */
const switches = new Set(settingsList.filter(({ isSwitch }) => isSwitch === true).map(({ key }) => key));

/** Settings that are maps in the file. */
const maps = new Set(settingsList.filter(({ isMap }) => isMap === true).map(({ key }) => key));

/** Variables of the command line's other commands, which may well be set where a server is started. */
const variablesOfClients: readonly string[] = ["MTS_TOKEN"];

const keyOfFlag = new Map(outerKeys.map((key) => [flagOf(key), key]));
const keyOfVariable = new Map(outerKeys.map((key) => [environmentNameOf(key), key]));

/** Reads `--flag VALUE` and `--flag=VALUE`; the last one of a kind counts. */
export const readFlags = (argv: readonly string[]): ConfigSource => {
  const given = new Map<string, GivenText>();
  const errors: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const place = `argument ${i + 1}`;
    const [flag, inlined] = splitOnce(argv[i] ?? "", "=");
    const key = keyOfFlag.get(flag);
    const takes = argv[i + 1]?.startsWith("--") === false && !(key !== undefined && isAlone(key, argv[i + 1]));
    const next = inlined === undefined && takes ? argv[i + 1] : undefined;
    if (!flag.startsWith("-")) {
      errors.push(`${place}: unexpected; every value has a flag in front of it, such as --http-port 8000`);
      continue;
    }
    if (next !== undefined) i++; // also behind an unknown flag, whose value would only be a second complaint
    const raw = inlined ?? next ?? (key !== undefined && switches.has(key) ? "true" : undefined);
    if (key === undefined) {
      // A name that is none may be a misplaced URL with a password in it.
      const shown = /^--?[\w-]{1,60}$/.test(flag) ? flag : place;
      errors.push(`${shown}: no such flag${didYouMean(flag, [...keyOfFlag.keys()])}; --help lists all`);
    } else if (raw === undefined) {
      errors.push(`${flag}: needs a value; write ${flag}=VALUE`);
    } else {
      given.set(key, { raw, source: flag });
    }
  }
  return { given, errors };
};

/** Whether a switch has no value behind it: the next word is none of its own. */
const isAlone = (key: string, next: string | undefined): boolean =>
  switches.has(key) && next !== "true" && next !== "false";

const splitOnce = (text: string, separator: string): readonly [string, string | undefined] => {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
};

/** Reads the `MTS_*` variables; all others are somebody else's. */
export const readEnvironment = (env: Readonly<Record<string, string | undefined>>): ConfigSource => {
  const given = new Map<string, GivenText>();
  const errors: string[] = [];
  for (const [name, raw] of Object.entries(env)) {
    if (!name.startsWith("MTS_") || raw === undefined || variablesOfClients.includes(name)) continue;
    const key = keyOfVariable.get(name);
    if (key === undefined) {
      errors.push(`${name}: no such variable${didYouMean(name, [...keyOfVariable.keys()])}; unset it`);
    } else {
      given.set(key, { raw, source: name });
    }
  }
  return { given, errors };
};

/** Reads the file that was asked for, or the one in the working folder, or none. */
export const readConfigFile = (asked: GivenText | undefined, cwd: string): ConfigSource => {
  if (asked !== undefined) {
    const text = asked.raw === "" ? undefined : textOf(resolve(cwd, asked.raw));
    if (text === undefined)
      return refused(`${asked.source}: the file ${quoted(asked.raw)} cannot be read; name one that is there`);
    return readConfigText(basename(asked.raw), text);
  }
  const found = configFileNames.flatMap((name) => {
    const text = textOf(resolve(cwd, name));
    return text === undefined ? [] : [{ name, text }];
  });
  const [file, another] = found;
  if (file === undefined) return { given: new Map(), errors: [] };
  if (another !== undefined) return refused(`${file.name} and ${another.name} are both there; keep one of them`);
  return readConfigText(file.name, file.text);
};

/** Parses the text of a file, by its name as JSON or else YAML. The parser's message may quote a secret: not shown. */
const readConfigText = (name: string, text: string): ConfigSource => {
  let document: unknown;
  try {
    document = extname(name) === ".json" ? JSON.parse(text) : Bun.YAML.parse(text);
  } catch {
    return refused(
      `${name}: is not valid ${extname(name) === ".json" ? "JSON" : "YAML"}; write one "key: value" a line`,
    );
  }
  if (document === null || document === undefined) return { given: new Map(), errors: [] };
  if (typeof document !== "object" || Array.isArray(document)) {
    return refused(`${name}: is no map of settings; write keys such as http_port with their values`);
  }
  const given = new Map<string, GivenText>();
  const errors: string[] = [];
  for (const [key, value] of Object.entries(document)) {
    const raw = maps.has(key) && typeof value === "object" ? JSON.stringify(value ?? {}) : textOfValue(value);
    if (!fileKeys.includes(key)) {
      errors.push(`${name}: ${quoted(key)}: no such key${didYouMean(key, fileKeys)}; take it out`);
    } else if (raw === undefined) {
      errors.push(`${name}: ${key}: is no single value; write text, a number, or a list of texts`);
    } else {
      given.set(key, { raw, source: `${name}: ${key}` });
    }
  }
  return { given, errors };
};

/** A scalar as it would be written on the command line, a list with commas. */
const textOfValue = (value: unknown): string | undefined => {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (value === null) return "";
  return Array.isArray(value) && value.every((entry) => typeof entry === "string") ? value.join(",") : undefined;
};

const refused = (error: string): ConfigSource => ({ given: new Map(), errors: [error] });

/** Undefined when there is no such file or it cannot be read as one. */
const textOf = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
};

/** Longest text that an error repeats, in characters. */
const quotedCharsMax = 60;

/** A value as an error shows it: short, on one line, and without what may be a password. */
export const quoted = (raw: string): string => {
  if (/:\/\/|@/.test(raw)) return "the URL given";
  const short = raw.length > quotedCharsMax ? `${raw.slice(0, quotedCharsMax)}…` : raw;
  return JSON.stringify(short).replace(/[\u007f-\u009f\u2028-\u202e]/g, "?");
};

/** ` (did you mean …?)`, or nothing when no name is near. */
const didYouMean = (given: string, names: readonly string[]): string => {
  const near = nearestNames(given, names);
  return near.length === 0 ? "" : ` (did you mean ${near.join(" or ")}?)`;
};

/** Three suggestions are a hint, more are noise. */
const suggestionsMax = 3;

/** The names that differ by at most a third of their letters, or, failing that, hold every word that was given. */
const nearestNames = (given: string, names: readonly string[]): readonly string[] => {
  const letters = (name: string): string => name.toLowerCase().replace(/^--?|^mts_|[^a-z0-9]/g, "");
  const typed = letters(given).slice(0, quotedCharsMax);
  if (typed === "") return [];
  const ranked = names
    .map((name) => ({ name, distance: editDistance(typed, letters(name)) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  if (best !== undefined && best.distance <= Math.max(1, letters(best.name).length / 3)) return [best.name];
  return names.filter((name) => letters(name).includes(typed)).slice(0, suggestionsMax);
};

/** Levenshtein distance: letters to add, drop or change. */
const editDistance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
};
