/**
 * Every table of the store over one connection.
 * @module
 */
import { ActorTable } from "./actor-tables.ts";
import type { CommitTables } from "./commit.ts";
import type { CompactTables } from "./compact.ts";
import type { Connection } from "./connection.ts";
import { ConsumerTable } from "./consumers.ts";
import { DeadTable } from "./dead.ts";
import { DelayedTable } from "./delayed.ts";
import { Garbage } from "./garbage.ts";
import { GoneTable } from "./gone.ts";
import { LeaseTable } from "./leases.ts";
import { MessageIdTable } from "./message-ids.ts";
import { MessageTable } from "./messages.ts";
import { MovedNotes } from "./moved.ts";
import { ObjectTable } from "./objects.ts";
import { PolicyTable } from "./policies.ts";
import type { PurgeTables } from "./purge.ts";
import { ReleaseNotes } from "./release-notes.ts";
import { SparseTable } from "./sparse.ts";
import type { StateTables } from "./state.ts";
import { SubjectTable } from "./subjects.ts";

/** Every table; the rules take what they need of them. */
export type Tables = CommitTables & PurgeTables & StateTables & CompactTables;

/** Prepares the statements; the schema is there already. */
export const openTables = (connection: Connection, dedupeWindowMs: number): Tables => {
  const dead = new DeadTable(connection);
  const objects = new ObjectTable(connection, dead);
  const messages = new MessageTable(connection);
  const releases = new ReleaseNotes();
  return {
    actors: new ActorTable(connection),
    subjects: new SubjectTable(connection),
    messages,
    gone: new GoneTable(connection, messages),
    messageIds: new MessageIdTable(connection, dedupeWindowMs),
    consumers: new ConsumerTable(connection),
    leases: new LeaseTable(connection, releases),
    releases,
    garbage: new Garbage(connection, objects),
    dead,
    objects,
    delayed: new DelayedTable(connection),
    moved: new MovedNotes(),
    sparse: new SparseTable(connection),
    policies: new PolicyTable(connection),
  };
};
