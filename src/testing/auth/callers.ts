/**
 * Who may do what, as data: callers with a grant each, the verbs of the stream, and what is to come of each pair.
 * Transports add how they say a verb.
 * @module
 */
import type { Grants } from "./token.ts";

/** What a request asks of the stream. */
export type Verb = "publish" | "fetch" | "subscribe" | "consume" | "purge" | "list";

/** Permissions of which one is enough; `purge` is for administrators, and everybody may list what they may see. */
const permissionsOf: Readonly<Record<Verb, readonly string[]>> = {
  publish: ["publish"],
  fetch: ["fetch"],
  subscribe: ["subscribe"],
  consume: ["fetch", "subscribe"],
  purge: [],
  list: [],
};

/** A caller. */
export interface Caller {
  readonly name: string;
  /** Undefined shows no token. */
  readonly grants?: Grants;
  /** Seconds from now; a token is expired already when it is negative. */
  readonly expiresInSeconds?: number;
  /** Whether the grant covers the subject of the table. */
  readonly covers: boolean;
}

/** The callers, for a subject such as `tenant-a.orders.1`. */
export const callersFor = (subject: string): readonly Caller[] => {
  const [tenant = ""] = subject.split(".");
  const grant = (permissions: readonly string[], more: Grants = {}): Grants => ({
    client_id: "tester",
    allowed_subjects: [`${tenant}.>`],
    permissions,
    ...more,
  });
  return [
    { name: "nobody", covers: false },
    { name: "an expired token", grants: grant(["*"], { admin: true }), expiresInSeconds: -60, covers: true },
    { name: "another tenant", grants: grant(["*"], { allowed_subjects: ["tenant-z.>"] }), covers: false },
    {
      name: "another tenant's administrator",
      grants: grant(["*"], { allowed_subjects: ["tenant-z.>"], admin: true }),
      covers: false,
    },
    { name: "somebody without permissions", grants: grant([]), covers: true },
    { name: "somebody without subjects", grants: { client_id: "tester", permissions: ["*"] }, covers: false },
    { name: "a publisher", grants: grant(["publish"]), covers: true },
    { name: "a reader", grants: grant(["fetch"]), covers: true },
    { name: "a subscriber", grants: grant(["subscribe"]), covers: true },
    { name: "all permissions", grants: grant(["*"]), covers: true },
    {
      name: "all permissions, this subject denied",
      grants: grant(["*"], { deny_subjects: [subject], admin: true }),
      covers: false,
    },
    {
      name: "all permissions, denied by a wildcard",
      grants: grant(["*"], { deny_subjects: [`*.${subject.split(".").slice(1).join(".")}`], admin: true }),
      covers: false,
    },
    { name: "a grant of a longer name", grants: grant(["*"], { allowed_subjects: [`${subject}.x`] }), covers: false },
    { name: "a grant of a shorter name", grants: grant(["*"], { allowed_subjects: [tenant] }), covers: false },
    {
      name: "a grant in other letters",
      grants: grant(["*"], { allowed_subjects: [subject.toUpperCase()] }),
      covers: false,
    },
    { name: "an administrator", grants: grant(["*"], { admin: true }), covers: true },
    { name: "an administrator who may nothing else", grants: grant([], { admin: true }), covers: true },
  ];
};

/** What comes of it: the code of the refusal, or `ok` when it is not refused for who calls. */
export const expectedOf = (caller: Caller, verb: Verb): string => {
  const { grants, covers, expiresInSeconds = 600 } = caller;
  if (grants === undefined) return "unauthenticated";
  if (expiresInSeconds < 0) return "token_expired";
  if (verb === "list") return "ok";
  if (!covers) return "permission_denied";
  if (verb === "purge") return grants.admin === true ? "ok" : "permission_denied";
  const { permissions = [] } = grants;
  const granted = permissions.includes("*") || permissionsOf[verb].some((needed) => permissions.includes(needed));
  return granted ? "ok" : "permission_denied";
};
