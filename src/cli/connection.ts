/**
 * A connection of the SDK for the time of one command: fails at once when nobody answers at the beginning, reconnects
 * with a note on standard error when it breaks later.
 * @module
 */
import { connect, type Mts, type Status } from "../client/index.ts";
import { unreachable } from "./http.ts";
import type { Io } from "./io.ts";
import type { ServerAccess } from "./server.ts";

/** How long what is under way may take when a command has ended. */
const closeMsMax = 2000;

/**
 * Runs `work` on a connection and closes it.
 * @throws CliFailure when the server cannot be reached or the token cannot be read; MtsError; what the work throws
 */
export const withConnection = async <T>(
  { url, token }: ServerAccess,
  io: Io,
  work: (mts: Mts) => Promise<T>,
): Promise<T> => {
  // A token that is not there is no reason to try again and again.
  await token?.();
  const first = Promise.withResolvers<undefined>();
  const hear = noteLosses(io, url, first);
  const mts = connect(url, { token, onStatus: hear });
  const stop = (): void => first.reject(io.stop.reason);
  io.stop.addEventListener("abort", stop, { once: true });
  try {
    await first.promise;
    return await work(mts);
  } finally {
    io.stop.removeEventListener("abort", stop);
    // Whoever wants to stop does not wait for acknowledgements either.
    await mts.close({ timeoutMs: io.stop.aborted ? 0 : closeMsMax });
  }
};

const noteLosses = (io: Io, url: string, first: PromiseWithResolvers<undefined>): ((status: Status) => void) => {
  let isKnown = false;
  let isLost = false;
  return (status) => {
    switch (status.state) {
      case "connected":
        if (isLost) io.stderr("minitoolstream: connected again\n");
        isLost = false;
        isKnown = true;
        first.resolve(undefined);
        return;
      case "disconnected":
        if (isKnown && !isLost) io.stderr(`minitoolstream: the connection to ${url} broke, trying again\n`);
        isLost = isKnown;
        return;
      case "reconnecting":
        if (!isKnown) first.reject(unreachable(url));
        return;
      case "closed":
        if (status.error !== undefined) first.reject(status.error);
        return;
      case "epoch_changed":
        return;
    }
  };
};
