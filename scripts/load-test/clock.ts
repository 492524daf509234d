/**
 * The one clock of a load test. It is the machine's monotonic clock, so that times taken in several processes can be
 * compared and a step of the wall clock changes nothing.
 * @module
 */

const [seconds, nanoseconds] = process.hrtime();
/** Between `performance.now()`, which is cheap but counts from the start of the process, and the machine's clock. */
const offsetUs = seconds * 1e6 + nanoseconds / 1e3 - performance.now() * 1e3;

/** Microseconds, with fractions; the same in every process of one machine (to a few microseconds). */
export const nowUs = (): number => offsetUs + performance.now() * 1e3;
