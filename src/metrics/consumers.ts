/**
 * How far behind consumers are, over all of them: subjects and names are labels only when an operator wants that, as
 * their number has no bound and they may be nobody else's business.
 * @module
 */
import type { ConsumerBacklog, MetadataStore } from "../metadata/contract.ts";
import type { Exposition, Sample } from "./exposition.ts";
import { Look } from "./look.ts";

/** Consumers that are looked at, the first ones in byte order of subject and name. */
const consumersMax = 5000;
/** As many in one call: an embedded store does nothing else meanwhile. */
const pageMax = 200;
/** Consumers with labels of their own. */
const labelledMax = 1000;

/** Sums and maxima over consumers. */
interface Totals {
  consumers: number;
  lag: number;
  lagMax: number;
  ackPending: number;
  ackPendingMax: number;
  readonly labelled: ConsumerBacklog[];
}

const totalsOf = async (metadata: Pick<MetadataStore, "consumerBacklogs">): Promise<Totals> => {
  const totals: Totals = { consumers: 0, lag: 0, lagMax: 0, ackPending: 0, ackPendingMax: 0, labelled: [] };
  let after: ConsumerBacklog | undefined;
  while (totals.consumers < consumersMax) {
    const page = await metadata.consumerBacklogs(after, pageMax);
    for (const backlog of page) {
      const { pending, ackPending } = backlog;
      totals.consumers++;
      totals.lag += pending;
      totals.lagMax = Math.max(totals.lagMax, pending);
      totals.ackPending += ackPending;
      totals.ackPendingMax = Math.max(totals.ackPendingMax, ackPending);
      if (totals.labelled.length < labelledMax) totals.labelled.push(backlog);
    }
    after = page.at(-1);
    if (page.length < pageMax) break;
    // Everybody else first.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return totals;
};

/** Puts consumers on the page; the answer is to be refreshed before it is read. */
export const showConsumers = (
  page: Exposition,
  metadata: Pick<MetadataStore, "consumerBacklogs">,
  withSubjects: boolean,
): Look<unknown> => {
  const look = new Look(() => totalsOf(metadata));
  const of = (read: (totals: Totals) => number) => (): number | undefined => look.seen && read(look.seen);
  page.gauge(
    "mts_consumers",
    `Consumers of all subjects, ${consumersMax} at most.`,
    of(({ consumers }) => consumers),
  );
  page.gauge(
    "mts_consumers_lag_messages",
    "Stored messages that consumers have not settled, over all consumers.",
    of(({ lag }) => lag),
  );
  page.gauge(
    "mts_consumers_lag_messages_max",
    "The same of the consumer that has the most.",
    of(({ lagMax }) => lagMax),
  );
  page.gauge(
    "mts_consumers_ack_pending_messages",
    "Messages that were handed out and are not acknowledged, over all consumers.",
    of(({ ackPending }) => ackPending),
  );
  page.gauge(
    "mts_consumers_ack_pending_messages_max",
    "The same of the consumer that has the most.",
    of(({ ackPendingMax }) => ackPendingMax),
  );
  if (!withSubjects) return look;
  const each = (read: (backlog: ConsumerBacklog) => number) => (): Sample[] =>
    (look.seen?.labelled ?? []).map((backlog) => {
      return [{ subject: backlog.subject, consumer: backlog.name }, read(backlog)];
    });
  page.gauge(
    "mts_consumer_lag_messages",
    `Stored messages that a consumer has not settled; of the first ${labelledMax} consumers.`,
    each(({ pending }) => pending),
  );
  page.gauge(
    "mts_consumer_ack_pending_messages",
    "Messages that were handed out to a consumer and are not acknowledged.",
    each(({ ackPending }) => ackPending),
  );
  return look;
};
