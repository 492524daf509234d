/**
 * What a few rounds are summed up to. Medians, because one disturbed round on a shared machine must not move a figure.
 * @module
 */

/** The middle of some numbers and how far they spread; all in the unit of the numbers. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Undefined when there are no numbers. */
export const spreadOf = (values: readonly number[]): Spread | undefined => {
  const sorted = values.toSorted((a, b) => a - b);
  const [min] = sorted;
  const max = sorted.at(-1);
  if (min === undefined || max === undefined) return undefined;
  const low = sorted[(sorted.length - 1) >> 1] ?? min;
  const high = sorted[sorted.length >> 1] ?? max;
  return { median: (low + high) / 2, min, max };
};

/** What a figure should be, in its unit. */
export type Target = { readonly atLeast: number } | { readonly atMost: number };

/** Whether a figure is as it should be. */
export const meets = (value: number, target: Target): boolean =>
  "atLeast" in target ? value >= target.atLeast : value <= target.atMost;

/**
 * Round by round, how many times as good as the peer we are: above 1 is better, also where less is better.
 * Neighbours in time are compared, so that a machine that slows down during the run does not decide. Rounds that lack
 * one of the two (NaN) are left out.
 */
export const ratiosTo = (ours: readonly number[], peers: readonly number[], target: Target): number[] =>
  ours
    .map((own, round) => {
      const peer = peers[round] ?? NaN;
      return "atLeast" in target ? own / peer : peer / own;
    })
    .filter(Number.isFinite);
