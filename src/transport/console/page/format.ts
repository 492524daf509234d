/**
 * Numbers, sizes and times as people read them. Pure, so that the tests reach it without a browser.
 * @module
 */

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** `12,345`. */
export const formatCount = (count: number): string => whole.format(count);

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** `0 B`, `1.5 KiB`, `64 MiB`. */
export const formatBytes = (bytes: number): string => {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value >= 100 || unit === 0 ? whole.format(value) : fine.format(value)} ${units[unit] ?? ""}`;
};

/** Messages a second: `0`, `0.4`, `12`, `1,234`. */
export const formatRate = (perSecond: number): string =>
  perSecond > 0 && perSecond < 10 ? fine.format(Math.max(0.1, perSecond)) : whole.format(perSecond);

const pad = (value: number, digits = 2): string => String(value).padStart(digits, "0");

/** The local day and time with milliseconds: `2026-11-21 09:41:07.123`. */
export const formatTime = (ms: number): string => {
  const at = new Date(ms);
  const day = `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
  return `${day} ${formatClock(ms)}`;
};

/** The local time with milliseconds: `09:41:07.123`. */
export const formatClock = (ms: number): string => {
  const at = new Date(ms);
  return `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}.${pad(at.getMilliseconds(), 3)}`;
};

const steps: readonly (readonly [ms: number, name: string])[] = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "min"],
  [1000, "s"],
];

/** How long ago, roughly: `now`, `12 s`, `5 min`, `3 h`, `2 d`. */
export const formatAge = (ms: number): string => {
  for (const [length, name] of steps) if (ms >= length) return `${Math.floor(ms / length)} ${name}`;
  return "now";
};

/** At most so many characters, on one line. */
export const shorten = (text: string, charactersMax: number): string => {
  const line = text.replaceAll(/\s+/g, " ").trim();
  return line.length > charactersMax ? `${line.slice(0, charactersMax - 1)}…` : line;
};

/** A round number at or above, 1 at least, of the form 1, 2 or 5 times a power of ten. */
export const roundUp = (value: number): number => {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= value) ?? 10;
  return step * power;
};
