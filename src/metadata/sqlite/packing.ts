/**
 * Commits on their way between threads: a few flat buffers that change hands, because cloning an object for each
 * message takes longer than storing it.
 * @module
 */
import { assert } from "../../core/errors.ts";
import type { Headers } from "../../core/message.ts";
import type { Subject } from "../../core/subject.ts";
import type { CommitEntry, CommitOutcome } from "../contract.ts";

const hashBytes = 32;
/** Subject, object (places in the lists of names), offset and length of the body. */
const entryNumbers = 4;
/** Kind, sequence, timestamp. */
const outcomeNumbers = 3;

/** What few entries have: the place of the entry, headers, message id, expected last sequence. */
type Extra = readonly [number, Headers | null, string | null, number | null];

interface Texts {
  readonly subjects: readonly string[];
  readonly objects: readonly string[];
  readonly extras: readonly Extra[];
}

/** Entries of a commit. Its buffers may be handed over. */
export interface PackedEntries {
  /** `Texts` as JSON. */
  readonly texts: string;
  readonly numbers: Float64Array<ArrayBuffer>;
  readonly hashes: Uint8Array<ArrayBuffer>;
}

/** Outcomes of a commit, three numbers each. */
export type PackedOutcomes = Float64Array<ArrayBuffer>;

/** Gives every distinct text a place; most entries repeat the text of the one before. */
class Places {
  readonly texts: string[] = [];
  readonly #places = new Map<string, number>();
  #lastText: string | undefined;
  #lastPlace = 0;

  of(text: string): number {
    if (text === this.#lastText) return this.#lastPlace;
    let place = this.#places.get(text);
    if (place === undefined) {
      place = this.texts.push(text) - 1;
      this.#places.set(text, place);
    }
    this.#lastText = text;
    this.#lastPlace = place;
    return place;
  }
}

const noHeaders: Headers = Object.freeze({});

const hasHeaders = (headers: Headers): boolean => {
  for (const _name in headers) return true;
  return false;
};

/** Packs the entries of a commit. */
export const packEntries = (entries: readonly CommitEntry[]): PackedEntries => {
  const subjects = new Places();
  const objects = new Places();
  const extras: Extra[] = [];
  const numbers = new Float64Array(entries.length * entryNumbers);
  const hashes = new Uint8Array(entries.length * hashBytes);
  let place = 0;
  for (const { subject, headers, body, messageId, expectedLastSequence } of entries) {
    const at = place * entryNumbers;
    numbers[at] = subjects.of(subject);
    numbers[at + 1] = objects.of(body.object);
    numbers[at + 2] = body.offset;
    numbers[at + 3] = body.length;
    assert(body.sha256.length === hashBytes, "A SHA-256 has 32 bytes.");
    hashes.set(body.sha256, place * hashBytes);
    const named = hasHeaders(headers);
    if (named || messageId !== undefined || expectedLastSequence !== undefined) {
      extras.push([place, named ? headers : null, messageId ?? null, expectedLastSequence ?? null]);
    }
    place++;
  }
  const texts: Texts = { subjects: subjects.texts, objects: objects.texts, extras };
  return { texts: JSON.stringify(texts), numbers, hashes };
};

/** The entries again, as they were packed. */
export const unpackEntries = ({ texts, numbers, hashes }: PackedEntries): readonly CommitEntry[] => {
  const { subjects, objects, extras } = JSON.parse(texts) as Texts;
  const entries: CommitEntry[] = [];
  const count = numbers.length / entryNumbers;
  let nextExtra = 0;
  for (let place = 0; place < count; place++) {
    const at = place * entryNumbers;
    const subject = subjects[numbers[at] ?? -1];
    const object = objects[numbers[at + 1] ?? -1];
    const offset = numbers[at + 2] ?? 0;
    const length = numbers[at + 3] ?? 0;
    assert(subject !== undefined && object !== undefined, "Every entry names its subject and its object.");
    const sha256 = hashes.subarray(place * hashBytes, (place + 1) * hashBytes);
    const extra = extras[nextExtra]?.[0] === place ? extras[nextExtra++] : undefined;
    entries.push({
      subject: subject as Subject,
      headers: extra?.[1] ?? noHeaders,
      body: { object, offset, length, sha256 },
      messageId: extra?.[2] ?? undefined,
      expectedLastSequence: extra?.[3] ?? undefined,
    });
  }
  return entries;
};

const kinds = ["committed", "duplicate", "wrong_last_sequence", "subject_full", "body_gone"] as const;

const numbersOf = (outcome: CommitOutcome): readonly [sequence: number, timestampMs: number] => {
  switch (outcome.status) {
    case "committed":
    case "duplicate":
      return [outcome.sequence, outcome.timestampMs];
    case "wrong_last_sequence":
      return [outcome.lastSequence, 0];
    case "subject_full":
    case "body_gone":
      return [0, 0];
  }
};

const outcomeOf = (status: CommitOutcome["status"], sequence: number, timestampMs: number): CommitOutcome => {
  switch (status) {
    case "committed":
    case "duplicate":
      return { status, sequence, timestampMs };
    case "wrong_last_sequence":
      return { status, lastSequence: sequence };
    case "subject_full":
    case "body_gone":
      return { status };
  }
};

/** Packs the outcomes of a commit. */
export const packOutcomes = (outcomes: readonly CommitOutcome[]): PackedOutcomes => {
  const packed = new Float64Array(outcomes.length * outcomeNumbers);
  let at = 0;
  for (const outcome of outcomes) {
    packed[at] = kinds.indexOf(outcome.status);
    [packed[at + 1], packed[at + 2]] = numbersOf(outcome);
    at += outcomeNumbers;
  }
  return packed;
};

/** The outcomes again, in the order of the entries. */
export const unpackOutcomes = (packed: PackedOutcomes): readonly CommitOutcome[] => {
  const outcomes: CommitOutcome[] = [];
  for (let at = 0; at < packed.length; at += outcomeNumbers) {
    const status = kinds[packed[at] ?? -1];
    const sequence = packed[at + 1];
    const timestampMs = packed[at + 2];
    assert(status !== undefined && sequence !== undefined && timestampMs !== undefined, "An outcome is whole.");
    outcomes.push(outcomeOf(status, sequence, timestampMs));
  }
  return outcomes;
};
