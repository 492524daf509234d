/**
 * What a node tells after it missed changes, over a real database whose clock stands still: everything happens in one
 * millisecond.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openFileBodies } from "../bodies/files/index.ts";
import type { StreamError } from "../core/errors.ts";
import { parseFilter, parseSubject } from "../core/subject.ts";
import { openTarantoolMetadata } from "../metadata/tarantool/index.ts";
import { startTarantool } from "../testing/tarantool.ts";
import type { Delivery, SubscriptionSink } from "./contract.ts";
import { createBroker, type OwnedBroker } from "./index.ts";

setDefaultTimeout(30_000);

/** Collects what a subscription is pushed, as `subject sequence`. */
class Sink implements SubscriptionSink {
  readonly batchBytesMax = 1024 * 1024;
  readonly pushed: string[] = [];
  #changed: () => void = () => undefined;

  writable(): boolean {
    return true;
  }

  messages(batch: readonly Delivery[]): void {
    this.pushed.push(...batch.map(({ subject, sequence }) => `${subject} ${sequence}`));
    this.#changed();
  }

  async has(message: string): Promise<void> {
    while (!this.pushed.includes(message)) await new Promise<void>((resolve) => (this.#changed = resolve));
  }

  damaged(): void {
    throw new Error("nothing is damaged here");
  }

  notify(subject: string, sequence: number): void {
    this.pushed.push(`${subject} ${sequence}`);
    this.#changed();
  }

  ended(error: StreamError): void {
    throw error;
  }
}

const subscribed = async (broker: OwnedBroker, mode: "messages" | "notify" = "messages"): Promise<Sink> => {
  const sink = new Sink();
  await broker.subscribe({ filter: parseFilter("orders.*"), from: { kind: "new" }, mode, credit: 1000 }, sink);
  return sink;
};

const publish = async (broker: OwnedBroker, subject: string): Promise<void> => {
  const draft = { subject: parseSubject(subject), headers: {}, body: Buffer.from("body"), messageId: subject };
  // Until it is acknowledged: the database may just have come back.
  for (;;) {
    const [outcome] = await broker.publish([{ ...draft, messageId: crypto.randomUUID() }]);
    if (outcome !== undefined && "sequence" in outcome) return;
  }
};

test("a wildcard from `new` gets nothing that was there before it, also of the same millisecond", async () => {
  await using held = new AsyncDisposableStack();
  const tarantool = held.use(await startTarantool({ env: { MTS_TEST_CLOCK: "1" } }));
  const folder = await mkdtemp(join(tmpdir(), "mts-look-again-"));
  held.defer(() => rm(folder, { recursive: true, force: true }));
  const bodies = await openFileBodies({ path: folder });
  held.defer(() => bodies.close());
  const metadata = await openTarantoolMetadata({ ...tarantool.address, dedupeWindowMs: 1000 });
  held.defer(() => metadata.close());
  const broker = createBroker({ metadata, bodies, bodyBytesMax: 1024 });
  held.defer(() => broker.drain());
  await broker.start();

  const early = await subscribed(broker);
  await publish(broker, "orders.a");
  await early.has("orders.a 1");
  const [late, notified] = [await subscribed(broker), await subscribed(broker, "notify")];
  await tarantool.restart("SIGKILL");
  // One that is told when all has been looked at, and one of the same subject.
  await publish(broker, "orders.b");
  await Promise.all([late.has("orders.b 1"), early.has("orders.b 1"), notified.has("orders.b 1")]);
  await publish(broker, "orders.a");
  await Promise.all([late.has("orders.a 2"), early.has("orders.a 2"), notified.has("orders.a 2")]);
  expect(early.pushed).toEqual(["orders.a 1", "orders.b 1", "orders.a 2"]);
  expect(late.pushed).toEqual(["orders.b 1", "orders.a 2"]);
  expect(notified.pushed).toEqual(["orders.b 1", "orders.a 2"]);
});
