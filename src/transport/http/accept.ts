/**
 * Which representation a request gets: content negotiation by `Accept` (RFC 9110, 12.5.1) over the few forms in which
 * answers can be written.
 * @module
 */
import { cloudBatchType, cloudEventType } from "../../codec/cloud-event.ts";
import { StreamError } from "../../core/errors.ts";

/** A form of an answer; `events` is `text/event-stream`, `cloudEvent` and `cloudBatch` are those of CloudEvents. */
export type Representation = "json" | "msgpack" | "ndjson" | "events" | "cloudEvent" | "cloudBatch";

/** Media types of each form; the first one is what answers carry. */
export const mediaTypes = {
  json: ["application/json"],
  msgpack: ["application/msgpack", "application/x-msgpack", "application/vnd.msgpack"],
  ndjson: ["application/x-ndjson", "application/ndjson"],
  events: ["text/event-stream"],
  cloudEvent: [cloudEventType],
  cloudBatch: [cloudBatchType],
} as const satisfies Record<Representation, readonly string[]>;

interface MediaRange {
  readonly type: string;
  readonly quality: number;
}

const mediaRange = /^\s*([!#$%&'*+.^_`|~\w-]+\/[!#$%&'*+.^_`|~\w-]+)\s*(;.*)?$/;
const qualityOf = (parameters: string): number => {
  const match = /;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*(?:;|$)/i.exec(parameters);
  return match === null ? 1 : Math.min(1, Number(match[1]));
};

/** Ranges in the order of the header; what cannot be read is passed over. */
const parseAccept = (accept: string): readonly MediaRange[] =>
  accept.split(",").flatMap((part) => {
    const match = mediaRange.exec(part);
    return match?.[1] === undefined ? [] : [{ type: match[1].toLowerCase(), quality: qualityOf(match[2] ?? "") }];
  });

const specificity = (range: string, type: string): number => {
  if (range === type) return 2;
  if (range === "*/*") return 0;
  return range.endsWith("/*") && type.startsWith(range.slice(0, -1)) ? 1 : -1;
};

/** How well one form is accepted: the most specific range decides its quality; the earlier one wins a tie. */
const score = (ranges: readonly MediaRange[], form: Representation) => {
  let best = { quality: 0, specificity: -1, position: Infinity };
  for (const type of mediaTypes[form]) {
    for (const [position, range] of ranges.entries()) {
      const match = specificity(range.type, type);
      if (match > best.specificity) best = { quality: range.quality, specificity: match, position };
    }
  }
  return best;
};

/**
 * Chooses the form of the answer. Highest quality wins, then the more specific range, then the order of the header,
 * then the order of `offered`; without a readable `Accept` it is the first offered.
 * @throws StreamError `not_acceptable` when none is accepted
 */
export const negotiate = (accept: string | null, offered: readonly [Representation, ...Representation[]]) => {
  if (accept === null || accept === "*/*" || accept === "") return offered[0];
  const ranges = parseAccept(accept);
  if (ranges.length === 0) return offered[0];
  const accepted = offered
    .map((form) => ({ form, ...score(ranges, form) }))
    .filter((candidate) => candidate.quality > 0)
    // The sort is stable, so equals stay in the order offered.
    .sort((a, b) => b.quality - a.quality || b.specificity - a.specificity || a.position - b.position);
  const chosen = accepted[0];
  if (chosen !== undefined) return chosen.form;
  const types = offered.map((form) => mediaTypes[form][0]);
  throw new StreamError("not_acceptable", `This path answers ${types.join(", ")}.`, { available: types });
};
