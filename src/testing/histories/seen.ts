/**
 * The application actor of histories: everything that it may change depends on every message that it was fed, and on
 * their order within their subject alone. It keeps a count and a running checksum of each subject, a row of each message,
 * tells of every third, fails on some once and on some always.
 * @module
 */
import { type ActorDefinition, type ActorMessage, defineActor, jsonRows } from "../../../actors/define.ts";

/** Its name. */
export const seenName = "seen";
/** What it is fed: not what it publishes itself. */
export const seenFilter = "*";
/** Where it tells of every third message. */
export const thirdsSubject = "seen.thirds";
/** Where messages go that it always fails on. */
export const failedSubject = "seen.failed";
/** How often it tries them. */
export const seenAttempts = 2;
/** The file of the actor. */
export const seenFile = import.meta.path;

/** What it has seen of one subject. */
export interface SeenSubject {
  readonly count: number;
  readonly checksum: number;
  /** Sequence of the last. */
  readonly last: number;
}

/** One message that it has seen. */
export interface SeenRow {
  /** The number among all messages of the history, and the checksum before it as the row of the one before says. */
  readonly number: number;
  readonly before: number;
  readonly count: number;
  readonly checksum: number;
}

/** Whether it tells of a message. */
export const isTold = (sequence: number): boolean => sequence % 3 === 0;

/** Whether it fails on a message whatever happens. */
export const isPoison = (number: number): boolean => number % 23 === 0;

/** Whether it fails on a message the first time. */
const isStubborn = (number: number): boolean => number % 11 === 0;

/** The key of a message's row: in the order of the sequences. */
export const seenKey = (subject: string, sequence: number): string =>
  `${subject}/${String(sequence).padStart(10, "0")}`;

/** What is published of a message, of very different lengths. */
export const toldBody = (subject: string, sequence: number): string =>
  `${subject} ${sequence} `.repeat(((sequence * 37) % 400) + 1);

/** The running checksum after one more message. */
export const checksumAfter = (before: number, sequence: number, bodyChecksum: number): number =>
  (Math.imul(before, 31) + Math.imul(sequence, 2_654_435_761) + bodyChecksum) >>> 0;

/** The checksum of a body. */
export const bodyChecksumOf = (body: Uint8Array): number => Bun.hash.crc32(body);

interface SeenState {
  readonly subjects: Record<string, SeenSubject>;
}

const start: SeenState = { subjects: {} };
const nothing: SeenSubject = { count: 0, checksum: 0, last: 0 };

/** Makes one, which has not failed on anything yet. */
export const seenActor = (): ActorDefinition => {
  const tried = new Set<string>();
  const checkStubborn = ({ subject, sequence }: ActorMessage, number: number): void => {
    const key = seenKey(subject, sequence);
    if (!isStubborn(number) || tried.has(key)) return;
    tried.add(key);
    throw new Error(`${key} fails once`);
  };
  return defineActor({
    name: seenName,
    filter: seenFilter,
    state: start,
    rows: jsonRows<SeenRow>(),
    attemptsMax: seenAttempts,
    deadLetter: failedSubject,
    async onMessage(message, { state, table, publish }) {
      const { subject, sequence, body } = message;
      const number = Number(message.headers["number"]);
      const known = state.subjects[subject] ?? nothing;
      const before = (await table.get(seenKey(subject, known.last)))?.checksum ?? 0;
      const checksum = checksumAfter(known.checksum, sequence, bodyChecksumOf(body));
      const count = known.count + 1;
      table.put(seenKey(subject, sequence), { number, before, count, checksum });
      state.subjects[subject] = { count, checksum, last: sequence };
      if (isTold(sequence)) {
        const headers = { subject, sequence: String(sequence) };
        publish({ subject: thirdsSubject, headers, data: toldBody(subject, sequence) });
      }
      // When all of it has been changed, so that all of it has to be undone.
      if (isPoison(number)) throw new Error(`${number} is poison`);
      checkStubborn(message, number);
    },
  });
};

export default seenActor();
