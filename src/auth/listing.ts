/**
 * The listing of subjects as one caller may see it: complete, in byte order, in whole pages. The stores seek to what is
 * granted and past what is denied; only a denied filter with a wildcard in front of its last token has to be read over.
 * @module
 */
import type { Broker } from "../broker/contract.ts";
import { pageMessagesMax } from "../core/limits.ts";
import type { SubjectSummary } from "../core/message.ts";
import { filterMatches, filterPrefix, type Subject, type SubjectFilter, serverSubjectPrefix } from "../core/subject.ts";
import type { Access } from "./grant.ts";

/** What the broker is asked. */
type Query = Parameters<Broker["subjects"]>[0];
/** What it answers. */
type Listing = Awaited<ReturnType<Broker["subjects"]>>;

/** Greater than every character of a subject, in code points and in UTF-8. */
const afterAll = "\u{10ffff}";

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** Lists what the grant covers of the filter. */
export const listGranted = async (broker: Pick<Broker, "subjects">, access: Access, query: Query): Promise<Listing> => {
  const parts = access
    .parts(query.filter)
    .map((filter) => new Part(broker, access, filter, query))
    .sort((a, b) => byBytes(a.prefix, b.prefix));
  const found: SubjectSummary[] = [];
  let open: Part[] = [];
  for (;;) {
    let next = smallest(open);
    // Parts are opened only when they may hold the next subject: those that begin behind it wait.
    for (let part = parts[0]; part !== undefined; part = parts[0]) {
      if (next?.head !== undefined && byBytes(part.prefix, next.head.subject) > 0) break;
      parts.shift();
      await part.advance();
      if (part.head !== undefined) open.push(part);
      next = smallest(open);
    }
    const summary = next?.head;
    if (summary === undefined) return { subjects: found, hasMore: false };
    if (found.length >= query.limit) return { subjects: found, hasMore: true };
    found.push(summary);
    // The same subject may lie in several parts.
    for (const part of open) if (part.head?.subject === summary.subject) await part.advance();
    open = open.filter(({ head }) => head !== undefined);
  }
};

const smallest = (parts: readonly Part[]): Part | undefined =>
  parts.reduce<Part | undefined>(
    (least, part) =>
      least?.head === undefined || (part.head !== undefined && byBytes(part.head.subject, least.head.subject) < 0)
        ? part
        : least,
    undefined,
  );

/** One filter's subjects, one after the other. */
class Part {
  /** Every subject of it begins with this. */
  readonly prefix: string;
  /** The next subject; undefined before the first `advance` and at the end. */
  head: SubjectSummary | undefined;
  readonly #broker: Pick<Broker, "subjects">;
  readonly #access: Access;
  readonly #filter: SubjectFilter;
  readonly #limit: number;
  #after: string | undefined;
  #rows: readonly SubjectSummary[] = [];
  #place = 0;
  #hasMore = true;

  constructor(broker: Pick<Broker, "subjects">, access: Access, filter: SubjectFilter, { after, limit }: Query) {
    this.prefix = filterPrefix(filter);
    this.#broker = broker;
    this.#access = access;
    this.#filter = filter;
    // One more than the page tells whether there is more.
    this.#limit = Math.min(limit + 1, pageMessagesMax);
    this.#after = after;
  }

  /** Goes to the next subject that may be seen. */
  async advance(): Promise<void> {
    for (;;) {
      const row = this.#rows[this.#place++];
      if (row === undefined) {
        if (!this.#hasMore) {
          this.head = undefined;
          return;
        }
        await this.#load();
      } else if (this.#access.covers(row.subject)) {
        this.head = row;
        return;
      } else {
        this.#skip(row.subject);
      }
    }
  }

  async #load(): Promise<void> {
    const page = await this.#broker.subjects({ filter: this.#filter, after: this.#after, limit: this.#limit });
    this.#rows = page.subjects;
    this.#place = 0;
    this.#hasMore = page.hasMore && page.subjects.length > 0;
    this.#after = page.subjects.at(-1)?.subject ?? this.#after;
  }

  /** When the whole rest of the page is denied by a prefix, the store seeks past it. */
  #skip(subject: Subject): void {
    const prefix = this.#deniedPrefix(subject);
    if (prefix === undefined) return;
    while (this.#rows[this.#place]?.subject.startsWith(prefix) === true) this.#place++;
    if (this.#place < this.#rows.length || !this.#hasMore) return;
    this.#after = prefix + afterAll;
  }

  #deniedPrefix(subject: Subject): string | undefined {
    const { admin, denied } = this.#access.grant;
    if (!admin && subject.startsWith(serverSubjectPrefix)) return serverSubjectPrefix;
    const filter = denied.find((taken) => filterMatches(taken, subject) && /^[^*>]*>$/.test(taken));
    return filter === undefined ? undefined : filterPrefix(filter);
  }
}
