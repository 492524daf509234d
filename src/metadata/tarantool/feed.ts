/**
 * The feed of changes: a call that the database holds until something changed.
 * @module
 */
import type { ConsumerName, Subject } from "../../core/subject.ts";
import type { ChangeFeed, ChangePage, FeedPosition } from "../contract.ts";
import type { Calls } from "./calls.ts";
import { intOf, listOf, textOf } from "./rows.ts";

/** Longest wait of one call; the database knows the same bound. */
const waitMsMax = 60_000;

/** A life of the database's process and the number of a change in it. */
interface Place {
  readonly life: string;
  readonly version: number;
}

const positionOf = (life: unknown, version: unknown): FeedPosition =>
  `${textOf(life)}:${intOf(version)}` as FeedPosition;

const placeOf = (position: FeedPosition): Place => {
  const colon = position.lastIndexOf(":");
  return { life: position.slice(0, colon), version: Number(position.slice(colon + 1)) };
};

const pageOf = (answer: unknown): ChangePage => {
  const [life, version, nowMs, lost, moved, consumers, purged] = listOf(answer);
  const runs = listOf(moved);
  return {
    position: positionOf(life, version),
    nowMs: intOf(nowMs),
    lost: lost === true,
    moved: Array.from({ length: runs.length / 3 }, (_, index) => ({
      subject: textOf(runs[index * 3]) as Subject,
      first: intOf(runs[index * 3 + 1]),
      last: intOf(runs[index * 3 + 2]),
    })),
    consumers: listOf(consumers).map((change) => {
      const [subject, name, deleted] = listOf(change);
      return { subject: textOf(subject) as Subject, name: textOf(name) as ConsumerName, deleted: deleted === true };
    }),
    purged: listOf(purged).map((change) => {
      const [subject, through] = listOf(change);
      return { subject: textOf(subject) as Subject, through: intOf(through) };
    }),
  };
};

/** What a wait that was given up answers: nothing is known to have come, and no time either. */
const emptyPage = (position: FeedPosition): ChangePage => ({
  position,
  nowMs: 0,
  lost: false,
  moved: [],
  consumers: [],
  purged: [],
});

/** The feed of a database. */
export class TarantoolFeed implements ChangeFeed {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  async now(): Promise<ChangePage> {
    return pageOf(await this.#calls.read("mts_position", []));
  }

  /** An aborted signal answers an empty page at once. */
  async next(after: FeedPosition, waitMs: number, signal?: AbortSignal): Promise<ChangePage> {
    if (signal?.aborted === true) return emptyPage(after);
    const { life, version } = placeOf(after);
    const held = Math.min(waitMs, waitMsMax);
    const page = this.#calls.read("mts_changes", [life, version, held], held).then(pageOf);
    if (signal === undefined) return page;
    const { promise, resolve } = Promise.withResolvers<ChangePage>();
    const onAbort = (): void => resolve(emptyPage(after));
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await Promise.race([page, promise]);
    } finally {
      signal.removeEventListener("abort", onAbort);
      // Nobody waits for the answer of a call that was given up.
      page.catch(() => undefined);
    }
  }

  reached(a: FeedPosition, b: FeedPosition): boolean {
    const [at, wanted] = [placeOf(a), placeOf(b)];
    return at.life === wanted.life && at.version >= wanted.version;
  }
}
