/**
 * How a stream stays on the server: attached to one session after the other, until its own end.
 * @module
 */
import { toMtsError } from "./errors.ts";
import type { Link } from "./link.ts";
import type { Session } from "./session.ts";
import { deferred, type Frame, ignoreRejection, integerField } from "./wire.ts";

/** A subscription of one session. */
export interface Attachment {
  readonly session: Session;
  readonly sid: number;
  /** The answer to the subscribe. */
  readonly reply: Frame;
}

/** Attaches again and again. Settles, with an error, when there is no next time. */
export const follow = async (
  link: Link,
  signal: AbortSignal,
  attach: (session: Session) => Promise<void>,
): Promise<never> => {
  for (let attempt = 1; ; attempt++) {
    const session = await link.session(signal);
    try {
      await attach(session);
      attempt = 0;
    } catch (error) {
      if (signal.aborted || !toMtsError(error).retryable) throw error;
    }
    // After a broken connection the link makes the pause.
    if (session.open) await pause(link, attempt, signal);
  }
};

const pause = (link: Link, attempt: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const cancel = link.environment.after(link.pauseMs(Math.max(1, attempt)), () => {
      signal.removeEventListener("abort", wake);
      resolve();
    });
    const wake = (): void => {
      cancel();
      resolve();
    };
    signal.addEventListener("abort", wake, { once: true });
  });

/**
 * Subscribes on one session and stays as long as both are there. Resolves when the session has ended.
 * @param push takes each push; what it throws ends the attachment
 * @param attached runs once the server has answered; what it throws ends the attachment
 * @throws MtsError what was thrown, or the signal's reason
 */
export const attachTo = async (
  session: Session,
  request: Frame,
  signal: AbortSignal,
  push: (frame: Frame) => void,
  attached: (attachment: Attachment) => Promise<void>,
): Promise<void> => {
  const failed = deferred<undefined>();
  ignoreRejection(failed.promise);
  const abort = (): void => failed.reject(signal.reason);
  signal.addEventListener("abort", abort);
  const guarded = (frame: Frame): void => {
    try {
      push(frame);
    } catch (error) {
      failed.reject(error);
    }
  };
  let sid: number | undefined;
  try {
    const reply = await session.request({ op: "subscribe", ...request }, signal, guarded);
    sid = integerField(reply, "sid");
    const working = attached({ session, sid, reply });
    await Promise.race([working, failed.promise]);
    await Promise.race([session.ended, failed.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
    if (sid !== undefined) session.unsubscribe(sid);
  }
};
