/**
 * Every table of the store over one connection.
 * @module
 */
import type { CommitTables } from "./commit.ts";
import type { Connection } from "./connection.ts";
import { ConsumerTable } from "./consumers.ts";
import { Garbage } from "./garbage.ts";
import { LeaseTable } from "./leases.ts";
import { MessageIdTable } from "./message-ids.ts";
import { MessageTable } from "./messages.ts";
import type { PurgeTables } from "./purge.ts";
import type { StateTables } from "./state.ts";
import { SubjectTable } from "./subjects.ts";

/** Every table; the rules take what they need of them. */
export type Tables = CommitTables & PurgeTables & StateTables;

/** Prepares the statements; the schema is there already. */
export const openTables = (connection: Connection, dedupeWindowMs: number): Tables => ({
  subjects: new SubjectTable(connection),
  messages: new MessageTable(connection),
  messageIds: new MessageIdTable(connection, dedupeWindowMs),
  consumers: new ConsumerTable(connection),
  leases: new LeaseTable(connection),
  garbage: new Garbage(connection),
});
