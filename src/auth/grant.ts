/**
 * What a token grants, and the questions that verbs ask of it. Pure: no clock, no broker.
 * @module
 */
import { StreamError } from "../core/errors.ts";
import {
  filterContains,
  filterIntersection,
  filterMatches,
  filtersOverlap,
  type Subject,
  type SubjectFilter,
  serverSubjectPrefix,
} from "../core/subject.ts";

/** What a token may let its bearer do. */
export type Permission = "publish" | "subscribe" | "fetch";

/** All of them, which is what `*` stands for. */
export const allPermissions: readonly Permission[] = ["publish", "subscribe", "fetch"];

/** The rights of one token, checked. */
export interface Grant {
  readonly clientId: string;
  /** Unix milliseconds. */
  readonly expiresAt: number;
  /** Subjects it is about; none of them means none at all. */
  readonly allowed: readonly SubjectFilter[];
  /** Taken out of those again; wins over everything. */
  readonly denied: readonly SubjectFilter[];
  readonly permissions: ReadonlySet<Permission>;
  /** May delete messages and see the server's own subjects, as far as its subjects reach. */
  readonly admin: boolean;
}

/** Decisions that are remembered for one token; a caller with more subjects than that pays the comparison again. */
const decisionsMax = 2048;

/** Decides for one grant; remembers what it decided for single subjects. */
export class Access {
  readonly grant: Grant;
  /** Everything but the server's own subjects is granted, so that nothing has to be looked up. */
  readonly #isUnbounded: boolean;
  readonly #decisions = new Map<Subject, boolean>();

  constructor(grant: Grant) {
    this.grant = grant;
    this.#isUnbounded = grant.denied.length === 0 && grant.allowed.some((filter) => filter === ">");
  }

  /** Whether the token has one of the permissions. */
  may(...permissions: readonly Permission[]): boolean {
    return permissions.some((permission) => this.grant.permissions.has(permission));
  }

  /** Whether the token is about this subject. */
  covers(subject: Subject): boolean {
    if (this.#isUnbounded) return this.grant.admin || !isServerName(subject);
    const known = this.#decisions.get(subject);
    if (known !== undefined) return known;
    const decision = this.#decide(subject);
    if (this.#decisions.size >= decisionsMax) this.#decisions.clear();
    this.#decisions.set(subject, decision);
    return decision;
  }

  /**
   * Whether the token is about every subject that the filter can ever match. One filter of the grant must hold all of
   * it; several that only together do are not pieced together.
   */
  coversFilter(filter: SubjectFilter): boolean {
    const { allowed, denied, admin } = this.grant;
    if (!admin && isServerName(filter)) return false;
    return (
      allowed.some((held) => filterContains(held, filter)) && !denied.some((taken) => filtersOverlap(taken, filter))
    );
  }

  /** Whether subjects of the server may be among what a granted filter matches, though not for this caller. */
  hidesServerSubjects(filter: SubjectFilter): boolean {
    return !this.grant.admin && /^[*>]/.test(filter);
  }

  /** The parts of a filter that the grant is about, none of which lies inside another. */
  parts(filter: SubjectFilter): readonly SubjectFilter[] {
    const parts: SubjectFilter[] = [];
    for (const held of this.grant.allowed) {
      const part = filterIntersection(held, filter);
      if (part === undefined || parts.some((other) => filterContains(other, part))) continue;
      const kept = parts.filter((other) => !filterContains(part, other));
      parts.splice(0, parts.length, ...kept, part);
    }
    return parts;
  }

  #decide(subject: Subject): boolean {
    const { allowed, denied, admin } = this.grant;
    if (!admin && isServerName(subject)) return false;
    return (
      allowed.some((filter) => filterMatches(filter, subject)) &&
      !denied.some((filter) => filterMatches(filter, subject))
    );
  }
}

const isServerName = (name: string): boolean => name.startsWith(serverSubjectPrefix);

/** The one refusal: the same whether or not there is such a subject. */
export const permissionDenied = (what: string): StreamError =>
  new StreamError("permission_denied", `The token does not grant ${what}.`);

/** The refusal of everything from the moment of expiry on. */
export const tokenExpired = (): StreamError =>
  new StreamError("token_expired", "The token has expired; get a new one and authenticate again.");
