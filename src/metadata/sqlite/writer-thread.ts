/**
 * The thread that writes: it has the one connection that changes the database, and waits for the disk so that the
 * thread of the sockets need not. Started by `ThreadWrites`; it does nothing of itself.
 * @module
 */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { assert } from "../../core/errors.ts";
import { Connection } from "./connection.ts";
import { packOutcomes, unpackEntries } from "./packing.ts";
import {
  errorText,
  type PlainCall,
  type WriterCall,
  type WriterReply,
  type WriterSettings,
} from "./thread-messages.ts";
import { LocalWrites, type Writes } from "./writes.ts";

const run = (writes: Writes, { verb, args }: PlainCall): Promise<unknown> => {
  switch (verb) {
    case "purge":
      return writes.purge(...args);
    case "putConsumer":
      return writes.putConsumer(...args);
    case "consumer":
      return writes.consumer(...args);
    case "consumers":
      return writes.consumers(...args);
    case "deleteConsumer":
      return writes.deleteConsumer(...args);
    case "pull":
      return writes.pull(...args);
    case "ack":
      return writes.ack(...args);
    case "nack":
      return writes.nack(...args);
    case "putPolicy":
      return writes.putPolicy(...args);
    case "deletePolicy":
      return writes.deletePolicy(...args);
    case "expire":
      return writes.expire(...args);
    case "takeDead":
      return writes.takeDead(...args);
    case "forgetDead":
      return writes.forgetDead(...args);
    case "condemn":
      return writes.condemn(...args);
    case "ready":
      return writes.ready();
    case "reclaimed":
      return writes.reclaimed();
    case "close":
      return writes.close();
  }
};

const serve = (port: MessagePort, { path, dedupeWindowMs, pagesMax }: WriterSettings): void => {
  /** The time of the call that is being answered; nothing asks for it after its first await. */
  let nowMs = 0;
  const writes = new LocalWrites(new Connection(path, pagesMax), () => nowMs, dedupeWindowMs);
  const say = (reply: WriterReply, handedOver: readonly ArrayBuffer[] = []): void =>
    port.postMessage(reply, [...handedOver]);

  const answer = async (call: WriterCall): Promise<void> => {
    const { id } = call;
    nowMs = call.nowMs;
    try {
      if (call.verb === "commit") {
        const startMs = performance.now();
        const outcomes = packOutcomes(await writes.commit(unpackEntries(call.entries)));
        say({ kind: "committed", id, outcomes, tookMs: performance.now() - startMs }, [outcomes.buffer]);
      } else say({ kind: "done", id, result: await run(writes, call) });
    } catch (thrown) {
      say({ kind: "failed", id, error: errorText(thrown) });
    }
  };

  port.on("message", (call: WriterCall) => void answer(call));
  say({ kind: "started" });
};

assert(parentPort !== null, "This file runs as a thread of the store.");
try {
  serve(parentPort, workerData as WriterSettings);
} catch (thrown) {
  const reply: WriterReply = { kind: "not_started", error: errorText(thrown) };
  parentPort.postMessage(reply);
}
