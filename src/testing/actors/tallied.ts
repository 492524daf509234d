/**
 * Publishing for the tally actor, and proving that each message had its effects once.
 * @module
 */
import { join } from "node:path";

/** The file of the actor. */
export const tallyFile = join(import.meta.dir, "samples", "tally.ts");

/** Subjects that are published to. */
const subjects = ["in.a", "in.b", "in.c"] as const;

/** An actor as the server shows it. */
export interface ShownActor {
  readonly owner: string | null;
  readonly lag: number;
  readonly status: string;
  readonly rebuilding: boolean;
  readonly generation: number;
  readonly state: { readonly count: number; readonly sum: number };
}

/** Publishes batches until the server is gone, or told to end. */
export const publishNumbers = async (urlOf: () => string, isOver: () => boolean): Promise<void> => {
  for (let value = 0; !isOver(); ) {
    const messages = Array.from({ length: 20 }, () => {
      value += 7;
      return { subject: subjects[value % 3], data: String(value % 1000) };
    });
    try {
      const response = await fetch(`${urlOf()}/v1/messages`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ messages }),
      });
      await response.text();
    } catch {
      // The server was killed: what it stored counts, whatever it answered.
      if (!isOver()) await Bun.sleep(10);
    }
  }
};

/** How the actor stands. */
export const shownTally = async (url: string): Promise<ShownActor> => {
  const response = await fetch(`${url}/v1/actors/tally`);
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  return JSON.parse(text) as ShownActor;
};

/** Waits until the actor is as wanted. */
export const tallyUntil = async (url: string, isWanted: (actor: ShownActor) => boolean): Promise<ShownActor> => {
  for (;;) {
    const shown = await shownTally(url).catch(() => undefined);
    if (shown !== undefined && isWanted(shown)) return shown;
    await Bun.sleep(20);
  }
};

interface ShownMessage {
  readonly sequence: number;
  readonly data: string;
}

/** All messages of a subject. */
const readAll = async (url: string, subject: string): Promise<readonly ShownMessage[]> => {
  const all: ShownMessage[] = [];
  for (let from = 1; ; ) {
    const response = await fetch(`${url}/v1/subjects/${subject}/messages?from=${from}&limit=10000`);
    const page = (await response.json()) as { messages: ShownMessage[]; next_sequence: number };
    if (page.messages.length === 0) return all;
    all.push(...page.messages);
    from = page.next_sequence;
  }
};

/** Proves that every stored message had its effects exactly once; answers how many there were. @throws Error */
export const proveTally = async (url: string): Promise<number> => {
  const { state } = await tallyUntil(url, ({ lag, rebuilding }) => lag === 0 && !rebuilding);
  let count = 0;
  let sum = 0;
  const expected = new Set<string>();
  for (const subject of subjects) {
    for (const { sequence, data } of await readAll(url, subject)) {
      count++;
      sum += Number(data);
      expected.add(`${subject}:${sequence}`);
    }
  }
  if (state.count !== count || state.sum !== sum) {
    throw new Error(`the state is ${JSON.stringify(state)}, the stream is ${JSON.stringify({ count, sum })}`);
  }
  const latest = new Map<string, number>();
  const published = await readAll(url, "out");
  for (const [index, { data, sequence }] of published.entries()) {
    const [subject = "", raw = ""] = data.split(":");
    if (sequence !== index + 1) throw new Error(`${data} was published as ${sequence}`);
    if (!expected.delete(`${subject}:${raw}`)) throw new Error(`${data} was published twice`);
    if (Number(raw) <= (latest.get(subject) ?? 0)) throw new Error(`${data} was published out of order`);
    latest.set(subject, Number(raw));
  }
  if (expected.size > 0) throw new Error(`${expected.size} messages had no effect`);
  return count;
};
