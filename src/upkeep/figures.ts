/**
 * What a pass of upkeep did.
 * @module
 */

/** Counts of one pass, or of several. */
export interface SweepFigures {
  /** Messages that policies no longer keep, deleted. */
  readonly expired: number;
  /** Objects of the body store deleted. */
  readonly objects: number;
  /** Bytes of these objects. */
  readonly bytes: number;
  /** Objects that could not be deleted now; they are tried again. */
  readonly left: number;
  /** Objects found that belong to no message and that nobody knew of; they wait for their deletion from now on. */
  readonly orphans: number;
  /** Bytes of these objects. */
  readonly orphanBytes: number;
  /** Objects whose bodies were copied together with others; what is left of them is deleted later. */
  readonly rewritten: number;
  /** Messages whose bodies were copied. */
  readonly moved: number;
  /** Bytes of the copies. */
  readonly movedBytes: number;
  /** Bodies that are not what was written, and so stay where they are. */
  readonly damaged: number;
}

/** Nothing done. */
export const noFigures: SweepFigures = {
  ...{ expired: 0, objects: 0, bytes: 0, left: 0, orphans: 0, orphanBytes: 0 },
  ...{ rewritten: 0, moved: 0, movedBytes: 0, damaged: 0 },
};

/** Whether something was done. */
export const hasWork = ({ expired, objects, left, orphans, moved, damaged }: SweepFigures): boolean =>
  expired + objects + left + orphans + moved + damaged > 0;
