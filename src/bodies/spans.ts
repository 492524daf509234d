/**
 * Which ranges are read in one request: shared by the drivers, whatever they read from.
 * @module
 */
import type { BodyRef } from "../core/message.ts";

/** Reading this much that nobody asked for is cheaper than another request. */
const gapBytesMax = 64 * 1024;
/** Largest joined request; a larger body comes alone. */
const spanBytesMax = 8 * 1024 * 1024;

/** A range of one object that holds one or more bodies. */
export interface Span {
  readonly object: string;
  readonly start: number;
  end: number;
  /** Bytes of the bodies, without what lies between them. */
  wantedBytes: number;
  /** Places in the list of refs, in order of their offsets. */
  readonly indices: number[];
}

/** Joins neighbouring ranges of one object, in whatever order they are asked for; refs of length 0 are left out. */
export const joinSpans = (refs: readonly BodyRef[]): readonly Span[] => {
  const byObject = new Map<string, { readonly ref: BodyRef; readonly index: number }[]>();
  for (const [index, ref] of refs.entries()) {
    if (ref.length === 0) continue;
    const others = byObject.get(ref.object);
    if (others === undefined) byObject.set(ref.object, [{ ref, index }]);
    else others.push({ ref, index });
  }
  const spans: Span[] = [];
  for (const [object, wanted] of byObject) {
    wanted.sort((a, b) => a.ref.offset - b.ref.offset);
    let span: Span | undefined;
    for (const { ref, index } of wanted) {
      const end = ref.offset + ref.length;
      if (span === undefined || ref.offset > span.end + gapBytesMax || end - span.start > spanBytesMax) {
        span = { object, start: ref.offset, end, wantedBytes: 0, indices: [] };
        spans.push(span);
      }
      span.end = Math.max(span.end, end);
      span.wantedBytes += ref.length;
      span.indices.push(index);
    }
  }
  return spans;
};
