/**
 * How an actor stands, from what the stores know: its record, its positions, and the ends of its subjects.
 * @module
 */
import type { ActorStatus } from "../../src/broker/contract.ts";
import { pageMessagesMax } from "../../src/core/limits.ts";
import type { Head } from "../../src/core/message.ts";
import type { Subject } from "../../src/core/subject.ts";
import type { ActorName, ActorPosition, ActorRecord, MetadataStore } from "../../src/metadata/contract.ts";
import { deadLetterSubject } from "../define.ts";
import { alarmSubject, isFed } from "./cursors.ts";
import type { ActorRunner } from "./runner.ts";

/** Subjects that are listed. */
const listedMax = 1000;

const utf8 = new TextDecoder();

/** What is known of an actor that nobody ever claimed. */
export const unclaimed = (name: ActorName): ActorRecord => ({
  name,
  generation: 1,
  fence: 0,
  revision: 0,
  owner: null,
  leaseLeftMs: 0,
  state: null,
  alarmAtMs: null,
  restarts: 0,
  lastError: null,
  updatedAtMs: 0,
});

/** @param runner where this node knows it */
export const statusOf = async (
  metadata: MetadataStore,
  record: ActorRecord,
  runner: ActorRunner | undefined,
): Promise<ActorStatus> => {
  const { name } = record;
  const definition = runner?.definition;
  const distance = await distanceOf(metadata, name, definition);
  // After the positions: with a lag of 0 it has all that was there.
  const now = (await metadata.actors.get(name)) ?? record;
  if (now.generation !== record.generation) return statusOf(metadata, now, runner);
  const { owner, alarmAtMs, restarts, lastError, generation, state } = now;
  return {
    name,
    filter: definition?.filter ?? null,
    status: runner?.isBackingOff === true ? "backing_off" : owner === null ? "waiting" : "running",
    owner,
    ...distance,
    state: state === null ? (definition?.state ?? null) : JSON.parse(utf8.decode(state)),
    alarmAtMs,
    restarts,
    lastError,
    generation,
    deadLetter: definition?.deadLetter ?? deadLetterSubject(name),
  };
};

/** How far it is, and how far that is from the ends. */
interface Distance {
  positions: { readonly subject: Subject; readonly sequence: number }[];
  lag: number;
  rebuilding: boolean;
}

const distanceOf = async (
  metadata: MetadataStore,
  name: ActorName,
  definition: Parameters<typeof isFed>[0] | undefined,
): Promise<Distance> => {
  const distance: Distance = { positions: [], lag: 0, rebuilding: false };
  const positions = new Map<Subject, ActorPosition>();
  for await (const page of positionPages(metadata, name)) {
    for (const position of page) {
      if (position.through < position.effectsThrough) distance.rebuilding = true;
      positions.set(position.subject, position);
      if (distance.positions.length < listedMax) {
        distance.positions.push({ subject: position.subject, sequence: position.through });
      }
    }
    // Where nobody here knows what it is fed, it is what it has been fed.
    if (definition !== undefined) continue;
    const subjects = page.map(({ subject }) => subject);
    const heads = await metadata.heads(subjects);
    for (const [index, head] of heads.entries()) distance.lag += behind(head, page[index]?.through ?? 0);
  }
  if (definition === undefined) return distance;
  for (let after: string | undefined; ; ) {
    const page = await metadata.subjects({ filter: definition.filter, after, limit: pageMessagesMax });
    for (const head of page.subjects) {
      if (isFed(definition, head.subject)) distance.lag += behind(head, positions.get(head.subject)?.through ?? 0);
    }
    after = page.subjects.at(-1)?.subject;
    if (!page.hasMore || after === undefined) return distance;
  }
};

/** Pages of positions without that of the alarms. */
async function* positionPages(metadata: MetadataStore, name: ActorName): AsyncGenerator<readonly ActorPosition[]> {
  for (let after: string | undefined; ; ) {
    const page = await metadata.actors.positions(name, after, pageMessagesMax);
    const positions = page.filter(({ subject }) => subject !== alarmSubject);
    if (positions.length > 0) yield positions;
    after = page.at(-1)?.subject;
    if (page.length < pageMessagesMax) return;
  }
}

/** Messages behind a position; those deleted from the middle included, those deleted from the beginning not. */
const behind = ({ firstSequence, lastSequence }: Head, through: number): number =>
  Math.max(0, lastSequence - Math.max(through, firstSequence - 1));
