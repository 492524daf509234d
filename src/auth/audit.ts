/**
 * The audit log: who did what to which subject, and what came of it; never a token, never a body. Lines are bounded, so
 * that nobody fills a disk by being refused.
 * @module
 */
import { toStreamError } from "../core/errors.ts";
import type { AuditChoice } from "./choice.ts";

/** Verbs as the log names them. */
export type AuditVerb =
  | "authenticate"
  | "publish"
  | "store_body"
  | "open_upload"
  | "complete_upload"
  | "take_upload"
  | "subscribe"
  | "read"
  | "message"
  | "fetch"
  | "peek"
  | "receipts"
  | "ack"
  | "nack"
  | "redrive"
  | "subjects"
  | "subject"
  | "purge"
  | "put_consumer"
  | "consumer"
  | "consumers"
  | "delete_consumer"
  | "put_policy"
  | "policy"
  | "policies"
  | "delete_policy"
  | "actors"
  | "actor"
  | "actor_rows"
  | "rebuild_actor";

/** What belongs to a line; `subject` is a subject or a filter. */
export interface AuditFields {
  readonly client?: string | undefined;
  readonly verb: AuditVerb;
  readonly subject?: string | undefined;
  readonly consumer?: string | undefined;
  /** `ok`, or the code of the error. */
  readonly outcome: string;
  readonly messages?: number | undefined;
}

/** Takes the lines. */
export interface AuditLog {
  info(event: string, fields: Readonly<Record<string, unknown>>): void;
  warn(event: string, fields: Readonly<Record<string, unknown>>): void;
}

/** Verbs that are told of when they succeed, with `changes`. */
const changes: ReadonlySet<AuditVerb> = new Set([
  "authenticate",
  "subscribe",
  "purge",
  "put_consumer",
  "delete_consumer",
  "redrive",
  "put_policy",
  "delete_policy",
  "rebuild_actor",
]);
/** Outcomes that are told of whatever the verb is. */
const refusals: ReadonlySet<string> = new Set(["permission_denied", "unauthenticated", "token_expired"]);

/** Refusals a second that are written one by one; the others are counted. */
const refusalsPerSecondMax = 50;

/** Writes the lines that were asked for. */
export class Audit {
  readonly #choice: AuditChoice;
  readonly #log: AuditLog;
  readonly #nowMs: () => number;
  #second = 0;
  #refusals = 0;

  constructor(choice: AuditChoice, log: AuditLog, nowMs: () => number) {
    this.#choice = choice;
    this.#log = log;
    this.#nowMs = nowMs;
  }

  /** Whether a success of the verb is written, for callers who would only count for it. */
  hears(verb: AuditVerb): boolean {
    return this.#choice === "all" || (this.#choice === "changes" && changes.has(verb));
  }

  /** Writes a line when it is one that was asked for. */
  tell(fields: AuditFields): void {
    if (this.#choice === "off") return;
    if (refusals.has(fields.outcome)) this.#refused(fields);
    else if (this.hears(fields.verb)) this.#log.info("audit", { ...fields });
  }

  /** Waits for the outcome and writes it; the work's own answer is passed on. */
  async watch<T>(fields: Omit<AuditFields, "outcome">, work: Promise<T>): Promise<T> {
    try {
      const answer = await work;
      this.tell({ ...fields, outcome: "ok" });
      return answer;
    } catch (thrown) {
      this.tell({ ...fields, outcome: toStreamError(thrown).code });
      throw thrown;
    }
  }

  #refused(fields: AuditFields): void {
    const second = Math.floor(this.#nowMs() / 1000);
    if (second !== this.#second) {
      const left = this.#refusals - refusalsPerSecondMax;
      if (left > 0) this.#log.warn("audit_refusals_left_out", { count: left });
      this.#second = second;
      this.#refusals = 0;
    }
    if (++this.#refusals <= refusalsPerSecondMax) this.#log.warn("audit", { ...fields });
  }
}
