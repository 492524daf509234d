import { describe, expect, test } from "bun:test";
import type { BodyStore, Placement } from "../src/bodies/contract.ts";
import type { PublishOutcome } from "../src/core/message.ts";
import type { Subject } from "../src/core/subject.ts";
import type { CommitEntry, CommitOutcome, MetadataStore } from "../src/metadata/contract.ts";
import { Committer } from "./committer.ts";
import { Ticket } from "./ticket.ts";

/** Bodies whose writes end when the test says so, and metadata that keeps what each transaction had. */
const makeRig = () => {
  const writes: PromiseWithResolvers<readonly Placement[]>[] = [];
  const transactions: (readonly CommitEntry[])[] = [];
  const bodies: Pick<BodyStore, "writeSegment"> = {
    writeSegment() {
      const write = Promise.withResolvers<readonly Placement[]>();
      writes.push(write);
      return write.promise;
    },
  };
  const metadata: Pick<MetadataStore, "commit"> = {
    async commit(entries) {
      transactions.push(entries);
      return entries.map((_, index): CommitOutcome => ({ status: "committed", sequence: index + 1, timestampMs: 0 }));
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
  return { writes, transactions, submit };
};

/** The end of a turn, at which the committer starts a write. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("committer", () => {
  test("body writes that end together are one transaction, in the order of their requests", async () => {
    const { writes, transactions, submit } = makeRig();
    const answers: Promise<readonly PublishOutcome[]>[] = [];
    for (const name of ["a", "b", "c"]) {
      answers.push(submit(name));
      await turn();
    }
    for (const write of writes) write.resolve([{ object: "segment", offset: 0 }]);
    await Promise.all(answers);
    expect(writes).toHaveLength(3);
    expect(transactions.map((entries) => entries.map(({ subject }) => String(subject)))).toEqual([["a", "b", "c"]]);
  });
});
