/**
 * Requests and answers of the functions that hand out sparse objects and move bodies.
 * @module
 */
import { StreamError } from "../../core/errors.ts";
import type { BodyRef } from "../../core/message.ts";
import type { SparseObject, SparseRequest } from "../contract.ts";
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

const bodiesOf = (object: string, items: readonly unknown[]): readonly BodyRef[] =>
  Array.from({ length: items.length / itemsPerBody }, (_, index): BodyRef => {
    const place = index * itemsPerBody;
    const sha256 = items[place + 3];
    if (!(sha256 instanceof Uint8Array)) throw new StreamError("internal", "The metadata store answered no SHA-256.");
    const storedLength = optionalOf(items[place + 2]);
    return {
      object,
      offset: intOf(items[place]),
      length: intOf(items[place + 1]),
      // A copy: the view would keep the whole answer in memory.
      sha256: new Uint8Array(sha256),
      ...(storedLength === undefined ? {} : { storedLength }),
    };
  });

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
