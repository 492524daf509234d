/**
 * Durations and sizes as people write them: `30s`, `10m`, `64MiB`.
 * @module
 */

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;
const unitBytes = {
  "": 1,
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
} as const;

/** Milliseconds of an age or duration such as `250ms`, `10m`, `1w`; undefined when it is none or not a safe integer. */
export const parseAge = (raw: string): number | undefined => {
  const match = /^(\d{1,15})(ms|s|m|h|d|w)$/.exec(raw);
  if (match === null) return undefined;
  const ms = Number(match[1]) * unitMs[match[2] as keyof typeof unitMs];
  return Number.isSafeInteger(ms) ? ms : undefined;
};

/** Bytes of a size such as `4096`, `64MiB`, `10MB`; undefined when it is none. */
export const parseSize = (raw: string): number | undefined => {
  const match = /^(\d{1,15})(B|kB|KB|MB|GB|KiB|MiB|GiB)?$/.exec(raw);
  if (match === null) return undefined;
  const bytes = Number(match[1]) * unitBytes[(match[2] ?? "") as keyof typeof unitBytes];
  return Number.isSafeInteger(bytes) ? bytes : undefined;
};
