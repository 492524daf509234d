/**
 * Reads pages of messages: envelopes from metadata, bodies from storage, every body checked. What is damaged is told
 * apart and never handed out.
 * @module
 */
import type { VerifiedBodies } from "../bodies/verified.ts";
import { StreamError } from "../core/errors.ts";
import type { Envelope, Head, Sequence } from "../core/message.ts";
import type { Subject } from "../core/subject.ts";
import type { EnvelopePage, MetadataStore, PageBounds } from "../metadata/contract.ts";
import type { DamagedMessage, Delivery } from "./contract.ts";

/** Messages with their bodies, and those that are damaged. */
export interface LoadedMessages {
  readonly messages: readonly Delivery[];
  readonly damaged: readonly DamagedMessage[];
}

/** A page of one subject with bodies. */
export interface LoadedPage extends LoadedMessages {
  readonly head: Head;
  readonly nextSequence: Sequence;
}

/** Where to go on after a page that was asked for from `from`. */
export const nextSequence = (from: Sequence, { head, envelopes }: EnvelopePage): Sequence => {
  const last = envelopes.at(-1);
  return last === undefined ? Math.max(from, head.firstSequence) : last.sequence + 1;
};

/** Reads messages for every verb. */
export class Reader {
  constructor(
    private readonly metadata: MetadataStore,
    private readonly bodies: VerifiedBodies,
  ) {}

  /** @throws StreamError `unavailable` */
  async page(subject: Subject, from: Sequence, bounds: PageBounds): Promise<LoadedPage> {
    const page = await this.metadata.range(subject, from, bounds);
    const loaded = await this.load(page.envelopes);
    return { ...loaded, head: page.head, nextSequence: nextSequence(from, page) };
  }

  /** Bodies of envelopes; `deliveries` is 1 where the envelope has none. @throws StreamError `unavailable` */
  async load(envelopes: readonly (Envelope & { readonly deliveries?: number })[]): Promise<LoadedMessages> {
    if (envelopes.length === 0) return { messages: [], damaged: [] };
    const bodies = await this.bodies.read(envelopes);
    const messages: Delivery[] = [];
    const damaged: DamagedMessage[] = [];
    for (const [index, envelope] of envelopes.entries()) {
      const body = bodies[index];
      if (body instanceof Uint8Array) messages.push(toDelivery(envelope, body));
      else if (body?.code === "data_loss") {
        damaged.push({ subject: envelope.subject, sequence: envelope.sequence, error: body });
      } else throw body ?? new StreamError("internal", "A read left a body out.");
    }
    return { messages, damaged };
  }
}

const toDelivery = (envelope: Envelope & { readonly deliveries?: number }, body: Uint8Array): Delivery => ({
  subject: envelope.subject,
  sequence: envelope.sequence,
  timestampMs: envelope.timestampMs,
  headers: envelope.headers,
  body,
  sha256: envelope.body.sha256,
  deliveries: envelope.deliveries ?? 1,
});
