/**
 * Pages of messages on the wire, for reads, fetches and peeks: JSON, msgpack, and NDJSON with the rest in headers.
 * @module
 */

import type { DamagedMessage, Page } from "../../broker/contract.ts";
import { errorView, messageView, type View } from "../../codec/view.ts";
import type { Head, Sequence } from "../../core/message.ts";
import { mediaTypes, type Representation } from "./accept.ts";
import { structuredResponse } from "./answer.ts";

/** Forms of a page. */
export const pageForms = ["json", "msgpack", "ndjson"] as const;

/** What every page says beside its messages. */
interface PageFrame extends Head {
  readonly subject: string;
  readonly epoch: string;
  readonly nextSequence: Sequence;
}

const damagedView = ({ sequence, error }: DamagedMessage): View => ({ ...errorView(error), sequence });

/** A page of messages; `deliveries` adds how often each was delivered. */
export const pageResponse = (page: Page, form: Representation, deliveries: boolean): Response => {
  const binary = form === "msgpack";
  const messages = page.messages.map((message) => messageView(message, { binary, deliveries }));
  return viewsResponse(page, messages, page.damaged, form);
};

/** A page whose messages are already views; `errors` is there only when stored messages are damaged. */
export const viewsResponse = (
  page: PageFrame,
  messages: readonly View[],
  damaged: readonly DamagedMessage[],
  form: Representation,
): Response => {
  if (form === "ndjson") return linesResponse(page, messages, damaged);
  const value = {
    subject: page.subject,
    epoch: page.epoch,
    messages,
    first_sequence: page.firstSequence,
    last_sequence: page.lastSequence,
    next_sequence: page.nextSequence,
    ...(damaged.length === 0 ? {} : { errors: damaged.map(damagedView) }),
  };
  return structuredResponse(value, form, 200, { vary: "Accept" });
};

const linesResponse = (page: PageFrame, messages: readonly View[], damaged: readonly DamagedMessage[]): Response =>
  new Response(messages.map((message) => `${JSON.stringify(message)}\n`).join(""), {
    headers: {
      "content-type": mediaTypes.ndjson[0],
      "cache-control": "no-store",
      vary: "Accept",
      "x-epoch": page.epoch,
      "x-first-sequence": String(page.firstSequence),
      "x-last-sequence": String(page.lastSequence),
      "x-next-sequence": String(page.nextSequence),
      ...(damaged.length === 0 ? {} : { "x-data-loss": damaged.map(({ sequence }) => sequence).join(",") }),
    },
  });
