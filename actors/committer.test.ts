import { describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BodyStore, Placement } from "../src/bodies/contract.ts";
import { openFileBodies } from "../src/bodies/files/index.ts";
import type { PublishOutcome } from "../src/core/message.ts";
import type { Subject } from "../src/core/subject.ts";
import type { CommitEntry, MetadataStore } from "../src/metadata/contract.ts";
import { openSqliteMetadata } from "../src/metadata/sqlite/index.ts";
import { Committer } from "./committer.ts";
import { Ticket } from "./ticket.ts";

/** Real stores, where a write of bodies is told of when the test says so, and each transaction is kept. */
const makeRig = async () => {
  const folder = await mkdtemp(join(tmpdir(), "mts-committer-"));
  const files = await openFileBodies({ path: folder });
  const sqlite = await openSqliteMetadata({ path: ":memory:", clock: Date.now, dedupeWindowMs: 1000 });
  const writes: Promise<() => void>[] = [];
  const transactions: (readonly CommitEntry[])[] = [];
  const bodies: Pick<BodyStore, "writeSegment"> = {
    writeSegment(some) {
      const told = Promise.withResolvers<readonly Placement[]>();
      writes.push(files.writeSegment(some).then((placements) => () => told.resolve(placements)));
      return told.promise;
    },
  };
  const metadata: Pick<MetadataStore, "commit"> = {
    commit(entries) {
      transactions.push(entries);
      return sqlite.commit(entries);
    },
  };
  const committer = new Committer(bodies as BodyStore, metadata as MetadataStore, {
    batchCountMax: 100,
    batchBytesMax: 1000,
    writesMax: 4,
    waitingCountMax: 100,
    waitingBytesMax: 1000,
    clock: () => 0,
    onCommitted: () => undefined,
    onUnknown: () => undefined,
  });
  const submit = (name: string): Promise<readonly PublishOutcome[]> => {
    const subject = name as Subject;
    const draft = {
      subject,
      headers: {},
      body: Buffer.from(name),
      messageId: undefined,
      expectedLastSequence: undefined,
    };
    return new Promise((settle) =>
      committer.submit({ subject, drafts: [draft], bytes: draft.body.length, ticket: new Ticket(), settle }),
    );
  };
  const close = async (): Promise<void> => {
    await sqlite.close();
    await files.close();
    await rm(folder, { recursive: true });
  };
  return { writes, transactions, submit, close };
};

/** The end of a turn, at which the committer starts a write. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("committer", () => {
  test("body writes that end together are one transaction, in the order of their requests", async () => {
    const { writes, transactions, submit, close } = await makeRig();
    const answers: Promise<readonly PublishOutcome[]>[] = [];
    for (const name of ["a", "b", "c"]) {
      answers.push(submit(name));
      await turn();
    }
    for (const tell of await Promise.all(writes)) tell();
    const outcomes = await Promise.all(answers);
    await close();
    expect(outcomes).toMatchObject([[{ sequence: 1 }], [{ sequence: 1 }], [{ sequence: 1 }]]);
    expect(writes).toHaveLength(3);
    expect(transactions.map((entries) => entries.map(({ subject }) => String(subject)))).toEqual([["a", "b", "c"]]);
  });
});
