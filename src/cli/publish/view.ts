/**
 * What a publish shows: a line for each stored message, and on a terminal how far it is.
 * @module
 */
import { clockText, count, sizeText } from "../format.ts";
import { type Io, ReaderGoneError } from "../io.ts";
import type { Given } from "../options.ts";
import { isWorthShowing, type Progress, progressText, StatusLine } from "../progress.ts";
import { isScheduled, type Published } from "./timing.ts";

/** Shows one run of the command. */
export class PublishView {
  readonly #io: Io;
  #format: "text" | "json" | "none";
  readonly #status: StatusLine;
  readonly #totals: Pick<Progress, "bytesTotal" | "messagesTotal">;
  readonly #startMs: number;
  #messages = 0;
  #unacknowledged = 0;
  /** Of what is stored, or was uploaded in this attempt. */
  #bytes = 0;

  constructor(io: Io, given: Given, totals: Pick<Progress, "bytesTotal" | "messagesTotal">) {
    this.#io = io;
    this.#format = given.flag("quiet") ? "none" : given.flag("json") ? "json" : "text";
    this.#status = new StatusLine(io);
    this.#totals = totals;
    this.#startMs = io.nowMs();
  }

  /** Messages that too few had acknowledged in time. */
  get unacknowledged(): number {
    return this.#unacknowledged;
  }

  /** A message is on stable storage. */
  async stored(receipt: Published, path: string | undefined): Promise<void> {
    this.#messages++;
    if (receipt.acknowledgements?.acknowledged === false) this.#unacknowledged++;
    this.#draw();
    if (this.#format === "none") return;
    await this.#heeding(() => this.#io.stdout.write(this.#status.above(`${this.#line(receipt, path)}\n`)));
  }

  /** So many bytes more are stored or sent; negative when an attempt begins anew. */
  moved(bytes: number): void {
    this.#bytes += bytes;
    this.#draw();
  }

  /** Takes the bar away; what it said last stays as a sentence. */
  async end(): Promise<void> {
    const wasWorthIt = isWorthShowing(this.#progress());
    // The last lines are on the terminal before the bar goes.
    await this.#heeding(() => this.#io.stdout.flush());
    this.clear();
    if (!wasWorthIt || !this.#io.stderrIsTerminal) return;
    const seconds = (this.#io.nowMs() - this.#startMs) / 1000;
    this.#io.stderr(`${count(this.#messages, "message")}, ${sizeText(this.#bytes)} in ${clockText(seconds)}\n`);
  }

  /** Takes the bar away, if there is one. */
  clear(): void {
    this.#status.clear();
  }

  /** That nobody reads the receipts any more is no reason to publish half of what was asked for. */
  async #heeding(write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (thrown) {
      if (!(thrown instanceof ReaderGoneError)) throw thrown;
      this.#format = "none";
    }
  }

  #draw(): void {
    const progress = this.#progress();
    if (isWorthShowing(progress)) this.#status.show(progressText(progress, this.#io.nowMs() - this.#startMs));
  }

  #progress(): Progress {
    return { bytes: this.#bytes, messages: this.#messages, ...this.#totals };
  }

  #line(receipt: Published, path: string | undefined): string {
    if (this.#format === "text") return textOf(receipt);
    return JSON.stringify({ ...jsonOf(receipt), ...(path !== undefined && { file: path }) });
  }
}

const textOf = (published: Published): string => {
  const duplicate = published.duplicate ? " duplicate" : "";
  if (isScheduled(published)) {
    const { subject, scheduledId, deliverAt } = published;
    return `${subject} scheduled ${new Date(deliverAt).toISOString()} ${scheduledId}${duplicate}`;
  }
  const { subject, sequence, acknowledgements: of } = published;
  const acked = of === undefined ? "" : ` acked ${of.acked ?? "?"}/${of.recipientsTotal ?? "?"}`;
  return `${subject} ${sequence}${duplicate}${acked}`;
};

/** The field names of the HTTP API. */
const jsonOf = (published: Published): Readonly<Record<string, unknown>> => {
  const { subject, duplicate } = published;
  if (isScheduled(published)) {
    return { subject, scheduled_id: published.scheduledId, deliver_at: published.deliverAt, duplicate };
  }
  const { sequence, timestamp, acknowledgements: of } = published;
  return {
    ...{ subject, sequence, timestamp, duplicate },
    ...(of && { acked: of.acked, recipients_total: of.recipientsTotal, acknowledged: of.acknowledged }),
  };
};
