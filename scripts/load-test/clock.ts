/**
 * The one clock of a load test. It never goes back, and times taken in several processes of one machine can be
 * compared.
 * @module
 */

/** `performance.now()` counts from the start of the process; the origin says when that was, finer than `Date.now()`. */
const originUs = performance.timeOrigin * 1e3;

/** Unix time in microseconds. */
export const nowUs = (): number => originUs + performance.now() * 1e3;
