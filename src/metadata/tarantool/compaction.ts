/**
 * Requests and answers of the functions that hand out sparse objects, move bodies, and list those of delayed messages.
 * @module
 */
import { StreamError } from "../../core/errors.ts";
import type { BodyRef } from "../../core/message.ts";
import type { Subject } from "../../core/subject.ts";
import type { DelayedMessage, SparseObject, SparseRequest } from "../contract.ts";
import { intOf, listOf, optionalOf, Places, textOf } from "./rows.ts";

/** A request as `mts_take_sparse` takes it. */
export const sparseItems = (request: SparseRequest): readonly unknown[] => [
  request.aliveShareMax,
  request.tinyBytes,
  request.tinyMin,
  request.minAgeMs,
  request.objectsMax,
  request.aliveBytesMax,
  request.leaseMs,
];

/** Items of a body in an answer: offset, length, stored length or null, SHA-256. */
const itemsPerBody = 4;

/** The answer of `mts_take_sparse`: `{object, {bodies, bodies …}}` each. */
export const sparseObjects = (answer: unknown): readonly SparseObject[] =>
  listOf(answer).map((item) => {
    const [object, chunks] = listOf(item);
    const name = textOf(object);
    return { object: name, bodies: listOf(chunks).flatMap((chunk) => bodiesOf(name, listOf(chunk))) };
  });

/** The answer of `mts_delayed`: number, subject, time, object and the items of a body each. */
export const delayedMessages = (answer: unknown): readonly DelayedMessage[] =>
  listOf(answer).map((item) => {
    const [id, subject, dueAtMs, object, ...body] = listOf(item);
    return {
      scheduleId: String(intOf(id)),
      subject: textOf(subject) as Subject,
      dueAtMs: intOf(dueAtMs),
      body: bodyOf(textOf(object), body),
    };
  });

const bodiesOf = (object: string, items: readonly unknown[]): readonly BodyRef[] =>
  Array.from({ length: items.length / itemsPerBody }, (_, index) =>
    bodyOf(object, items.slice(index * itemsPerBody, (index + 1) * itemsPerBody)),
  );

const bodyOf = (object: string, [offset, length, stored, sha256]: readonly unknown[]): BodyRef => {
  if (!(sha256 instanceof Uint8Array)) throw new StreamError("internal", "The metadata store answered no SHA-256.");
  const storedLength = optionalOf(stored);
  return {
    object,
    offset: intOf(offset),
    length: intOf(length),
    // A copy: the view would keep the whole answer in memory.
    sha256: new Uint8Array(sha256),
    ...(storedLength === undefined ? {} : { storedLength }),
  };
};

/** Moves as `mts_move_bodies` takes them. */
export const moveItems = (
  moves: readonly { readonly from: BodyRef; readonly to: BodyRef }[],
  lingerMs: number,
): readonly unknown[] => {
  const objects = new Places();
  // A body without bytes is in no object.
  const items = moves
    .filter(({ from, to }) => from.object !== "" && to.object !== "")
    .flatMap(({ from, to }) => [
      objects.of(from.object),
      from.offset,
      objects.of(to.object),
      to.offset,
      to.storedLength,
      to.storedLength ?? to.length,
    ]);
  return [objects.names, items, lingerMs];
};
