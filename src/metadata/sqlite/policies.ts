/**
 * The table of retention policies, and which of them is for a subject.
 * @module
 */
import type { Statement } from "bun:sqlite";
import { StreamError } from "../../core/errors.ts";
import { policiesMax } from "../../core/limits.ts";
import { type FilterPolicy, FilterTree, type RetentionPolicy, samePolicy } from "../../core/policy.ts";
import type { Subject, SubjectFilter } from "../../core/subject.ts";
import type { Connection } from "./connection.ts";

/** Subjects whose policy is remembered; when there are more they are looked for anew. */
const resolvedMax = 65_536;

interface PolicyRow {
  readonly filter: SubjectFilter;
  readonly max_age_ms: number | null;
  readonly max_messages: number | null;
  readonly max_bytes: number | null;
  readonly discard: RetentionPolicy["discard"];
  readonly retain: RetentionPolicy["retain"];
  /** JSON: names, or a number; null when there are none. */
  readonly recipients: string | null;
  readonly recipient_timeout_ms: number | null;
  readonly put_at: number;
}

/** A policy as it is kept. */
export interface PutPolicy extends RetentionPolicy {
  /** When it was set, Unix milliseconds. */
  readonly putAtMs: number;
}

const policyOf = (row: PolicyRow): RetentionPolicy => ({
  maxAgeMs: row.max_age_ms,
  maxMessages: row.max_messages,
  maxBytes: row.max_bytes,
  discard: row.discard,
  retain: row.retain,
  recipients: row.recipients === null ? null : (JSON.parse(row.recipients) as RetentionPolicy["recipients"]),
  recipientTimeoutMs: row.recipient_timeout_ms,
});

type Limit = number | null;
type PutParams = [string, Limit, Limit, Limit, string, string, string | null, Limit, number];

/**
 * Statements on policies. What is asked for each subject comes from memory: this process is the only one that changes
 * the table, and whoever does says so (`forget`).
 */
export class PolicyTable {
  readonly #find: Statement<PolicyRow, [string]>;
  readonly #list: Statement<PolicyRow, []>;
  readonly #count: Statement<{ readonly policies: number }, []>;
  readonly #put: Statement<unknown, PutParams>;
  readonly #remove: Statement<unknown, [string]>;
  #tree: FilterTree<PutPolicy> | undefined;
  #isEmpty = false;
  readonly #resolved = new Map<Subject, PutPolicy | undefined>();

  constructor(connection: Connection) {
    this.#find = connection.prepare("SELECT * FROM policies WHERE filter = ?");
    this.#list = connection.prepare("SELECT * FROM policies ORDER BY filter");
    this.#count = connection.prepare("SELECT count(*) AS policies FROM policies");
    this.#put = connection.prepare(
      `INSERT OR REPLACE INTO policies (filter, max_age_ms, max_messages, max_bytes, discard, retain, recipients,
         recipient_timeout_ms, put_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#remove = connection.prepare("DELETE FROM policies WHERE filter = ?");
  }

  /** The policy of a subject; undefined where everything is kept. Inside a transaction. */
  of(subject: Subject): PutPolicy | undefined {
    const tree = (this.#tree ??= this.#load());
    if (this.#isEmpty) return undefined;
    const known = this.#resolved.get(subject);
    if (known !== undefined || this.#resolved.has(subject)) return known;
    const policy = tree.find(subject);
    if (this.#resolved.size >= resolvedMax) this.#resolved.clear();
    this.#resolved.set(subject, policy);
    return policy;
  }

  /** Whether no subject has a policy. Inside a transaction. */
  get isEmpty(): boolean {
    this.#tree ??= this.#load();
    return this.#isEmpty;
  }

  /** Reads the table anew when it is next asked; for when it was, or may have been, changed. */
  forget(): void {
    this.#tree = undefined;
    this.#resolved.clear();
  }

  /** @throws StreamError `too_many_policies` */
  put(filter: SubjectFilter, policy: RetentionPolicy, nowMs: number): "created" | "same" | "replaced" {
    const found = this.#find.get(filter);
    if (found !== null && samePolicy(policyOf(found), policy)) return "same";
    if (found === null && (this.#count.get()?.policies ?? 0) >= policiesMax) {
      throw new StreamError("too_many_policies", `A store has at most ${policiesMax} policies.`, { max: policiesMax });
    }
    const { maxAgeMs, maxMessages, maxBytes, discard, retain, recipientTimeoutMs } = policy;
    const recipients = policy.recipients === null ? null : JSON.stringify(policy.recipients);
    this.#put.run(filter, maxAgeMs, maxMessages, maxBytes, discard, retain, recipients, recipientTimeoutMs, nowMs);
    return found === null ? "created" : "replaced";
  }

  /** The policy it had, or null. */
  remove(filter: SubjectFilter): RetentionPolicy | null {
    const found = this.#find.get(filter);
    if (found === null) return null;
    this.#remove.run(filter);
    return policyOf(found);
  }

  /** In byte order of the filters. */
  list(): readonly FilterPolicy[] {
    return this.#list.all().map((row) => ({ filter: row.filter, policy: policyOf(row) }));
  }

  #load(): FilterTree<PutPolicy> {
    const rows = this.#list.all();
    const tree = new FilterTree<PutPolicy>();
    for (const row of rows) tree.set(row.filter, { ...policyOf(row), putAtMs: row.put_at });
    this.#isEmpty = rows.length === 0;
    return tree;
  }
}
