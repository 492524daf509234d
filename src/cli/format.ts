/**
 * How numbers are shown to people.
 * @module
 */

/** `1 message`, `12 messages`. */
export const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`;

const units = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** `512 B`, `12.3 MiB`. */
export const sizeText = (bytes: number): string => {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit] ?? ""}`;
};

/** `0:07`, `1:02:03`. */
export const clockText = (seconds: number): string => {
  const whole = Math.max(0, Math.round(seconds));
  const pad = (n: number): string => String(n).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours > 0 ? `${hours}:${pad(minutes)}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`;
};

// Control characters, and those that change the direction of the text around them.
const unprintable = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/** Text that cannot steer a terminal: what is not printable is written as an escape. */
export const printable = (text: string): string =>
  text.replace(unprintable, (character) => {
    if (character === "\n") return "\\n";
    if (character === "\t") return "\\t";
    return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
  });
