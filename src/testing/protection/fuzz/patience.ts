/**
 * Deadlines for "it hangs", counted in ticks of a timer instead of by a clock: a machine that was suspended, or
 * starved both processes for a while, is no hang of the server.
 * @module
 */

const tickMs = 100;
/** How long anything may take: far beyond what a loaded machine needs, and still an end. */
const ticksMax = 600;

/** The value of a promise. @throws Error naming `what` when it does not come within a minute of ticks */
export const within = async <T>(what: string, promise: Promise<T>, ticks = ticksMax): Promise<T> => {
  let left = ticks;
  const expired = Promise.withResolvers<never>();
  const timer = setInterval(() => {
    if (--left <= 0) expired.reject(new Error(`no answer in time: ${what}`));
  }, tickMs);
  try {
    return await Promise.race([promise, expired.promise]);
  } finally {
    clearInterval(timer);
  }
};
