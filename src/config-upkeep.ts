/**
 * How the settings of upkeep are read: when it works, and the policies that are put at every start.
 * @module
 */
import { parsePolicy } from "./codec/policy.ts";
import type { Parsed } from "./config-stores.ts";
import { parseAge, parseSize } from "./core/duration.ts";
import { StreamError } from "./core/errors.ts";
import { policiesMax } from "./core/limits.ts";
import type { FilterPolicy } from "./core/policy.ts";
import { parseFilter } from "./core/subject.ts";

const dayMs = 24 * 60 * 60 * 1000;

/** `off` or a duration. */
export const parseSweepInterval = (raw: string): Parsed<number | undefined> => {
  if (raw === "off") return { value: undefined };
  const ms = parseAge(raw);
  if (ms === undefined) return { problem: "is no duration; write a whole number with a unit, such as 10s, or off" };
  return ms >= 10 && ms <= dayMs ? { value: ms } : { problem: "is out of range; 10ms to 1d, or off" };
};

/** A duration. */
export const parseSweepGrace = (raw: string): Parsed<number> => {
  const ms = parseAge(raw);
  if (ms === undefined) return { problem: "is no duration; write a whole number with a unit, such as 2m" };
  return ms <= 30 * dayMs ? { value: ms } : { problem: "is out of range; 0s to 30d" };
};

/** A share of what is alive in an object. */
export const parseCompactShare = (raw: string): Parsed<number> => {
  if (!/^(?:0|0?\.\d{1,6})$/.test(raw)) return { problem: "is no share; write a number such as 0.5, or 0 for never" };
  const share = Number(raw);
  return share <= 0.95 ? { value: share } : { problem: "is out of range; 0 to 0.95" };
};

/** The size of an object below which it is joined with others. */
export const parseCompactBelow = (raw: string): Parsed<number> => {
  const bytes = parseSize(raw);
  if (bytes === undefined)
    return { problem: "is no size; write a whole number of bytes, or with a unit, such as 1MiB" };
  return bytes <= 4 * 1024 * 1024 ? { value: bytes } : { problem: "is out of range; 0 to 4MiB" };
};

const wanted = 'write a map of filters, such as {"logs.>":{"max_age":"24h"}}';

/** A JSON map of filters and their policies. */
export const parsePolicies = (raw: string): Parsed<readonly FilterPolicy[]> => {
  if (raw === "") return { value: [] };
  let map: unknown;
  try {
    map = JSON.parse(raw);
  } catch {
    return { problem: `is no JSON; ${wanted}` };
  }
  if (typeof map !== "object" || map === null || Array.isArray(map)) return { problem: `is no map; ${wanted}` };
  const entries = Object.entries(map);
  if (entries.length > policiesMax) return { problem: `has more than ${policiesMax} filters` };
  const policies: FilterPolicy[] = [];
  for (const [name, fields] of entries) {
    try {
      policies.push({ filter: parseFilter(name), policy: parsePolicy(fields) });
    } catch (thrown) {
      if (!(thrown instanceof StreamError)) throw thrown;
      return { problem: `has a policy that cannot be read, of ${JSON.stringify(name)}: ${thrown.message}` };
    }
  }
  return { value: policies };
};
